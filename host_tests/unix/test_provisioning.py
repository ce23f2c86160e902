"""node/config/provisioning.py with the Wi-Fi of a chip, and what it leaves of credentials."""

from __future__ import annotations

from support.micropython import upy
from support.parts.wifi_driver import DRIVER


def test_wifi_is_tried_for_real_and_left() -> None:
    """device/wifi.py behind it: a wrong password is an error after 20 s, the right one is joined at
    once; the radio is off before, between and after.
    """
    script = """
from support.parts.first_boot import Rig, SETTINGS, line
rig = Rig(wifi)
rig.wait(6000)
print(air.made, air.is_active)
print(rig.say(SETTINGS), air.is_active, len(air.calls))
air.reason = 202
print(rig.wait(19000), rig.wait(2000), air.is_active, rig.lines[-2])
print(rig.say(SETTINGS), air.is_active)
air.lets_in()
print(rig.wait(50), air.is_active)
rig.say(line() + b"\\n")
print(rig.node.done)
"""
    said = upy.run(DRIVER + script).splitlines()
    trying = "[(2, b'\\x00'), (1, b'\\x03')]"
    assert said == [
        "0 False",
        f"{trying} True 1",
        "[] [(2, b'\\x03'), (1, b'\\x02')] False wifi not joined cause=wrong-password",
        f"{trying} True",
        "[(1, b'\\x04'), (4, b'\\x01\\x00')] False",
        "True",
    ]


def test_keys_of_an_earlier_attempt_do_not_stay() -> None:
    """What a cut has left of other credentials goes before the new ones come; nothing else does."""
    script = """
import os
from device.console import store
old = ["ca-1.der", "cert-1.der", "key-1.der", "key-2.der.tmp"]
kept = ["keys.txt", "monkey-1.der", "key-notes.txt", "boot.bin"]
for name in old + kept:
    with open(name, "w") as file:
        file.write("old")
new = {name + "-3.der": b"new " + name.encode() for name in ("ca", "cert", "key")}
store("settings.json", b"[]", b"{}", new)
made = list(new) + ["identity.json", "identity.bak", "settings.json"]
print(sorted(os.listdir()) == sorted(kept + made), os.listdir())
print(*[open(name).read() for name in ("key-3.der", "identity.json", "settings.json", "boot.bin")])
"""
    said = upy.run(script).splitlines()
    assert said[0].startswith("True"), said[0]
    assert said[1] == "new key [] {} old"
