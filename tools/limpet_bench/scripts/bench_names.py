# mypy: ignore-errors
"""How many names MicroPython keeps for a node that has been joined and has then imported `names`:
it prints how many there are before, and at the end.
"""

import json
import os

import micropython

micropython.qstr_info()  # with what this file has, as it is compiled whole
from device import guard  # noqa: E402

rtc_state = guard.RtcState(b"", lambda data: None)
crashes = guard.Crashes("crash.bin", guard.flash.read, guard.flash.replace, rtc_state)
node = guard.built(rtc_state, crashes)
for name in json.loads(os.getenv("BENCH"))["names"]:
    __import__(name)
micropython.qstr_info()
