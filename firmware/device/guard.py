"""Runs the node, and keeps what it dies of: an exception on the chip would leave the console, and
nobody there to read it.

It catches what nobody else has caught, from app.py's first import on, counts it (see
node/system/crashes.py), and starts again. So it imports little, and what it imports must not fail.

Ctrl-C stays with who sits at the console.
"""

import gc
import sys
import time

if sys.path[0] in ("/a", "/b"):  # before there is more to be found
    try:
        from device import quick

        quick.begin(sys.path)
    except (ImportError, OSError):
        pass  # a slot of files

from micropython import const
from node.shared.rtc_state import RtcState
from node.shared.unimport import unimport
from node.system.crashes import Crashes

from device import flash, power

# For who comes by with a cable, and for the flash: a node that not even safe mode helps, or that
# cannot count, starts 1,440 times a day instead of without pause.
_PAUSE_S = const(60)
# Bytes after which garbage is collected while code is loaded: what stays for ever is not to be
# spread among what goes at once.
_GARBAGE = const(4096)


def built(rtc_state, crashes):
    """What app.py has built. What has done its work with that is let go of."""
    gc.threshold(_GARBAGE)
    from device import boots

    return boots.built(rtc_state, crashes)


def run():
    """Have app.py build the node, run it, and do what that returns: a hard reset (True), a soft one
    (False), or nothing (None). A crash is a hard reset.
    """
    flash.stale = 2  # see there
    cause = power.reset_cause()
    rtc_state = RtcState(b"" if cause == "power-on" else power.load(), power.save)
    crashes = Crashes("crash.bin", flash.read, flash.replace, rtc_state)
    crashes.begin(cause)
    node = hard = None
    try:
        from device import heap_size

        anchor = heap_size.grow()  # held: it keeps the heap at the size that the node needs
        del heap_size
        unimport("device.heap_size")
        node = built(rtc_state, crashes)
        if anchor is not None:  # where no long piece is free the heap grows, and TLS has less
            gc.threshold(_GARBAGE)
        if node:
            hard = node()
    except Exception as error:  # noqa: BLE001 - the last of all catchers
        sys.print_exception(error)
        node = None  # its buffers are room for what is to be kept
        gc.collect()
        kept = crashes.crashed(error)
        if crashes.safe and isinstance(error, ImportError):
            # No reset brings back a file.
            print("limpet: not even safe mode is complete, copy the code again: limpet deploy")
            return
        rtc_state.put("why", "crash")
        if crashes.safe or not kept:
            time.sleep(_PAUSE_S)
        hard = True
    finally:
        try:
            flash.settle()  # mounted as it was, whoever is at the console now
        except OSError:
            pass  # the reset that follows does it
        rtc_state.put("trial", None)
    if hard is not None:
        power.reset(hard)
