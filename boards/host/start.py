"""What the chip does when it boots, on a laptop: runs boot.py, then main.py as `__main__`.

Not here: what reset_cause, the clock or the sensor say. That is the board's, which LIMPET_*
variables tell it.
"""

import os
import sys


def mount(image):
    """Mount the file `image` as /rom, outside the heap, where a chip has its firmware."""
    import ffi
    import uctypes
    import vfs

    size = os.stat(image)[6]
    rom = uctypes.bytearray_at(ffi.open(None).func("p", "malloc", "L")(size), size)
    with open(image, "rb") as file:
        file.readinto(rom)
    vfs.mount(vfs.VfsRom(rom), "/rom")


def find(name):
    """The first file `name` on sys.path, as a path; None if there is none."""
    for folder in sys.path:
        path = folder + "/" + name if folder else name
        try:
            os.stat(path)
            return path
        except OSError:
            continue
    return None


def boot():
    """Run boot.py and main.py in one namespace, as the chip does; no main if boot fails."""
    if os.getenv("LIMPET_ROM"):
        mount(os.getenv("LIMPET_ROM"))
    space = {"__name__": "__main__"}
    for name in ("boot.py", "main.py"):
        path = find(name)
        if path:
            execfile(path, space)  # noqa: F821 (MicroPython has it)


try:
    boot()
except KeyboardInterrupt:
    # main handles its own. This one came before main was ready, so there was nothing to end.
    sys.exit(130)
