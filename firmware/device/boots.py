"""What a boot needs, and is then let go of: app.py is built here, the boot gets its number, and
from a config that was refused it goes back to the last settings that the code in this slot took, or
else to the other slot, which has code and settings of its own.

One module instead of two: each has names, and those stay.
"""

import gc
import os
import struct
import sys
from binascii import crc32

from micropython import const
from node.shared.unimport import unimport
from node.shared.version import EARLIEST

from device.flash import access, read, replace, settle
from device.power import reset, reset_cause, watchdog

_COUNTER = "<II"
_2020 = const(1_577_836_800)
_IDENTITY = "identity.json"
_CONSOLE_MS = const(600_000)
# What code from before may still count up to: it goes on from its own file, when it is fallen back
# to, and no number may come twice.
_AHEAD = const(1 << 20)
_BOOTS = "own/boot.bin"
_read = {}  # what has been read already, by path


def built(rtc_state, crashes):
    """What app.py has built. What has done its work with that is let go of, this module too. A node
    that has not been told who it is hears it first.
    """
    if found(_IDENTITY) is None:
        from device import upgrade

        upgrade.begin(rtc_state)
        _read.clear()
    begin(rtc_state)
    import app

    node = app.build(rtc_state, crashes)
    del app.build
    keep(node, rtc_state)
    if node:
        begun(crashes)
    settle()  # before the node writes Readings
    quick = sys.modules.get("device.quick")
    if quick and quick.slot:
        quick.slot.index = None
    gc.threshold(-1)
    unimport("app", "device.boots", "device.identity", "device.mounting", "node.config.settings")
    unimport("node.session.causes", "node.readings.layouts", "node.shared.version", "tls_context")
    unimport("device.generations", "recordlog_opening", "node.reporting.facts")
    unimport("node.shared.errors", "node.shared.topics")
    return node


def made(*parts):
    """No class of `parts` has another object to make: what makes one is code, and goes.

    By None, as MicroPython holds what is deleted from a class for as long as the class is there.
    """
    for each in parts:
        try:
            type(each).__init__ = None
        except (AttributeError, TypeError):
            pass  # one of MicroPython's own


def begun(crashes):
    """No other boot begins before the reset: what begins one is code, and goes in the same way."""
    from backoff import Backoff
    from board import clock

    type(clock).start = type(crashes).begin = Backoff.resume_ms = None


def next_boot(unix, path=_BOOTS):
    """Count this boot on flash and return its number, one that was never returned before.

    `unix` is the time in Unix seconds, or None while the clock is not set. It matters only when the
    counter is lost: counting then starts again at minutes since 2020, above any number that a node
    which boots less than once a minute can have reached. Two copies are kept, because a node that
    has no clock at boot can only take the firmware's date, which is the same the second time.
    OSError when flash takes neither copy.
    """
    boot = _counted(path)
    if not boot and path == _BOOTS:
        boot = _moved()
    boot = boot + 1 if boot else ((unix or EARLIEST) - _2020) // 60
    _count(path, boot)
    _count(path + ".2", boot)
    return boot


def _moved():
    """The number of the last boot of code that had all this in the root, 0 if there was none. What
    else it has left there is moved to the folder, which is made; the next boot goes on after a cut.
    """
    names = access(os.listdir)
    if _BOOTS[:3] not in names:
        access(os.mkdir, _BOOTS[:3])
    for each in ("responses", "alerts", "raised", "commands.ids", "commands.bin"):
        if each in names:
            access(os.rename, each, _BOOTS[:4] + each)
    boot = _counted(_BOOTS[4:])
    if boot:
        _count(_BOOTS[4:], boot + _AHEAD)
    return boot


def _count(path, boot):
    replace(path, struct.pack(_COUNTER, boot, boot ^ 0xFFFFFFFF))


def _counted(path):
    return max(_counter(path), _counter(path + ".2"))


def _counter(path):
    """The number in one copy, or 0: a number is believed only next to its complement."""
    record = read(path)
    if record is None or len(record) != struct.calcsize(_COUNTER):
        return 0
    boot, complement = struct.unpack(_COUNTER, record)
    return boot if boot ^ complement == 0xFFFFFFFF else 0


def begin(rtc_state):
    """If the watchdog has ended ten minutes with a refused config, and nobody has put another one
    or other code there, put in use what was good before; if nothing was, leave it. The other slot
    is tried once: what both refuse stays with the code that refused it last. OSError.

    The identity is never taken back: it is not the code's, and the one before may be revoked. Nor
    is code to blame for one that is damaged.
    """
    refused, slot = rtc_state.take("refused"), slot_in_use()
    if refused is None or reset_cause() != "watchdog" or refused != _seal():
        return
    last = slot + "/settings.last"
    if read(last) not in (None, read(settings())):
        print("limpet: the config was refused, back to the settings before")
        # By rename, which a full flash takes as well; `keep` makes a new copy.
        access(os.rename, last, settings())
        return
    other, identity = "a" if slot[1] == "b" else "b", crc32(read(_IDENTITY) or b"")
    # That one has sent this node here for the same identity: going on for ever would mend nothing.
    if rtc_state.get("left") != identity and read("/%s/files.json" % other) is not None:
        print("limpet: the config was refused, back to slot", other)
        rtc_state.put("left", identity)
        replace("slot", other.encode() + b"\n")
        reset()


def slot_in_use():
    """The slot from which this code is run, "/a" or "/b"; "" without slots."""
    for each in sys.path:  # the first is quick.py's
        if each in ("/a", "/b"):
            return each
    return ""


def settings():
    """Where the settings of this code are: in its slot, or beside the identity."""
    slot = slot_in_use()
    return slot + "/settings.json" if slot else "settings.json"


def found(path):
    """The file at `path` (bytes), or None. Settings that are missing are made out of a config.json
    that is left from before they were a file of their own. OSError.
    """
    if path in _read:
        return _read[path]
    text = read(path)
    if text is None and path == settings():
        from device import upgrade

        upgrade.split(access(os.listdir))
        text = read(path)
    _read[path] = text
    return text


def keep(taken, rtc_state):
    """Whether the code has `taken` the config. Then a copy of the settings is kept, of the same
    ones once; if it was refused, the console is left to who can mend that, and in ten minutes the
    node starts again.
    """
    slot = slot_in_use()
    if not taken:
        print("limpet: starts again in 10 minutes")
        if rtc_state.get("why") != "config:identity":
            rtc_state.put("refused", _seal())
        watchdog(_CONSOLE_MS)
        return
    rtc_state.put("left", None)
    if slot:
        try:
            text = found(settings())
            if text != read(slot + "/settings.last"):
                replace(slot + "/settings.last", text)
        except OSError:
            pass  # without room there is the copy before, or none: no reason not to run


def _seal():
    """Of code and config: a number, by which others are told from these. None without slots."""
    slot = slot_in_use()
    if not slot:
        return None
    return crc32(slot.encode() + (read(_IDENTITY) or b"") + (read(settings()) or b""))
