"""Scripts that drive lib/umqtt_tls.MQTTClient alone, under the real interpreter.

`now` belongs to the script: it stands still until the script moves it, so that minutes cost
nothing. What the broker has to say is waited for in real time; ticks are without what other
programs had the core for.
"""

from __future__ import annotations

from pathlib import Path

from limpet.node_host.umqtt import umqtt_dir
from support.brokers.scripted_broker import ScriptedBroker
from support.micropython.upy import OWN_TIME, run

# `seen` is what the callbacks were told; `go` ends the script when what it waits for never comes.
_RIG = """
import sys, time
from umqtt_tls import MQTTClient

class Time:
    now = 1000

seen = []

def client(port={port}, host="127.0.0.1", **more):
    c = MQTTClient("node-1", host, port, **more)
    c.on_up = lambda present: seen.append("up %d" % present)
    c.on_down = lambda cause: seen.append("down " + cause)
    c.on_ack = lambda packet_id: seen.append("ack %d" % packet_id)
    c.on_message = lambda topic, payload, retained, dup: seen.append(
        "%s %s r%d d%d" % (topic, str(payload, "utf-8"), retained, dup))
    return c

def go(c, until, seconds=60):
    end = time.time() + seconds
    while not until():
        c.step(Time.now)
        c.wait(10)
        if time.time() > end:
            print("never:", seen, c.state)
            sys.exit(1)

def up(c):
    seen.clear()
    c.start(Time.now)
    go(c, lambda: c.state == "up" or c.state == "down")

def down(c):
    go(c, lambda: c.state == "down")

def said(text):
    return lambda: text in seen

def idle(c, steps=20):
    for _ in range(steps):
        c.step(Time.now)
        c.wait(1)

def answers(c):
    # A round trip: the broker has seen, and answered, all that went before it.
    packet_id = None
    while packet_id is None:
        idle(c, 1)
        packet_id = c.send("mark", b"", 1)
    go(c, said("ack %d" % packet_id))
    seen.remove("ack %d" % packet_id)

"""


def drive(
    broker: ScriptedBroker | int, script: str, heap: str | None = None, umqtt: Path | None = None
) -> list[str]:
    """Run `script` after the rig, against `broker` or a port; return the lines it printed.

    umqtt: another folder with umqtt.
    """
    port = broker if isinstance(broker, int) else broker.port
    path: list[Path | str] = [OWN_TIME, umqtt or umqtt_dir()]
    return run(_RIG.format(port=port) + script, path=path, heap=heap).splitlines()


def tls_lines(ca: Path) -> str:
    """Return the lines of a script that make `context`, trusting the CA in the DER file `ca`."""
    return f"""
from tls_context import tls_context
context = tls_context(open({str(ca)!r}, "rb").read())
"""
