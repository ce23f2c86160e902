# mypy: ignore-errors
"""Joins a node as device/guard.py does it; then what is loaded, and the heap that is in use."""

import gc
import sys

from device import guard

RtcState = getattr(guard, "RtcState", None) or guard.Handover
rtc_state = RtcState(b"", lambda data: None)
crashes = guard.Crashes("crash.bin", guard.flash.read, guard.flash.replace, rtc_state)
# Earlier versions of the node have other names.
built = getattr(guard, "built", None) or guard.joined
node = built(rtc_state, crashes)
loaded = list(sys.modules)
gc.collect()
used = gc.mem_alloc()
from bench_common import say  # noqa: E402 (it is no part of what is measured)

say(loaded=loaded, used=used)
