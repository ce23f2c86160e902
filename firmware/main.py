"""Starts the node. app.py is what a main.py usually is: here it is byte code, and watched over.

Code that not even the guard can be imported from is left for the slot before it. Each slot has its
settings in it; code from before that wants its config in /config.json. From there on the guard
decides.
"""

_FIRMWARE = (
    "os time struct binascii collections errno io json hashlib socket select machine network tls "
    "vfs esp32 _thread gc flashbdev"
)
_CONSOLE_MS = 600_000  # for who copies the code again
_READ = 256


def start():
    """The guard of the slot in use, or of the other one; None when neither can start: then this is
    tried again after ten minutes of console.
    """
    import sys

    if sys.path[0] in ("/a", "/b"):
        known(sys)
        mounted(_READ)
    import os

    kept, path, slot = set(sys.modules), sys.path[:], sys.path[0]
    for last in (False, True):
        other = "/a" if slot == "/b" else "/b"
        try:
            # The list is written last: without it this slot was never finished.
            if last:
                os.stat(slot + "/files.json")
            from device import guard

            if slot in ("/a", "/b"):
                place(os, slot, other)
            return guard
        except Exception as error:  # a file that is cut short fails in many ways
            if slot not in ("/a", "/b"):
                raise
            print("limpet: slot %s cannot start: %r" % (slot, error))
        for name in set(sys.modules) - kept:
            del sys.modules[name]
        slot = other
        sys.path[:] = [slot] + path[1:]
    print("limpet: no slot can start, copy the code again: limpet deploy")
    mounted()
    import machine

    # What flash would not give now it may give then, and nobody comes by to press reset.
    machine.WDT(timeout=_CONSOLE_MS)


def known(sys):
    """Keep in sys.modules what lies in the chip's firmware: MicroPython looks for it all along
    sys.path at each import, which is hundreds of reads of flash, and forgets again where it was.
    """
    path = sys.path[:]
    sys.path[:] = [each for each in path if each in (".frozen", "/rom")]
    for name in _FIRMWARE.split():
        try:
            sys.modules[name] = __import__(name)
        except ImportError:
            pass  # this chip has none
    sys.path[:] = path


def mounted(read_size=32):
    """Mount the flash in place of itself, which is read by so many bytes: littlefs has 32, and
    nearly all that loading a module takes is to look for its file. What reads more takes 2 KB of
    heap, and nothing may be written through it (see device/flash.py).
    """
    try:
        import vfs
        from flashbdev import bdev

        fresh = vfs.VfsLfs2(bdev, readsize=read_size)
    except (ImportError, MemoryError, OSError):
        return  # it loads all the same
    vfs.umount("/")
    vfs.mount(fresh, "/")


def place(os, slot, other):
    """Put the slot's own config in its place; the one that was there becomes the other slot's own.
    Only code from before identity and settings were two files has any.

    A cut between the renames leaves no config.json, and each slot its own. Where both have one
    already, config.json is nobody's.
    """
    if "config.next" not in os.listdir(slot):
        return
    mounted()
    try:
        os.stat(other + "/config.next")
    except OSError:
        try:
            os.rename("/config.json", other + "/config.next")
        except OSError:
            pass  # there was none, or there is no other slot
    os.rename(slot + "/config.next", "/config.json")


try:
    guard = start()
except BaseException:  # Ctrl-C: who comes by writes as ever
    mounted()
    raise
if guard:
    guard.run()
