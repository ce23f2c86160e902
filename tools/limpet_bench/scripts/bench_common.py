# mypy: ignore-errors
"""What the scripts share: settings in, results out, a Message as a node sends it. MicroPython."""

import json
import os

import tls

settings = json.loads(os.getenv("BENCH"))

with open("identity.json") as file:
    config = json.load(file)
if "host" in settings:  # another broker than the device's own, without TLS
    config["broker"], config["port"] = settings["host"]
device_id = config["device_id"]
topic = b"limpet/home/desk/climate/" + device_id.encode() + b"/telemetry"
payload = b'{"v":1,"boot":1,"seq":12345,"ts":1780000000,"temperature":24.4,"humidity":45.2}'


def context():
    """The TLS context of this device; None for a broker that has no TLS."""
    if "host" in settings:
        return None
    made = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(der("ca"))
    made.load_cert_chain(der("cert"), der("key"))
    return made


def der(name):
    """What is in that file of the device's identity."""
    with open(name + ".der", "rb") as file:
        return file.read()


def say(**results):
    """Tell the bench what was measured."""
    print("BENCH " + json.dumps(results))
