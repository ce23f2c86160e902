"""Chooses the slot whose code is run; main.py then sees whether it can be.

`limpet deploy` fills the slot that is not in use, and commits by one rename: of slot.new to slot.
Without the file `slot` (on a laptop, or with all code in the image) nothing is done. It must not
raise, whatever is on flash: that would leave a board without main, and without a word to the
broker.
"""


def choose():
    """Put the slot first on sys.path."""
    import sys

    try:
        with open("slot", "rb") as file:
            slot = file.read(1)
    except OSError:
        return
    if slot in (b"a", b"b"):
        sys.path.insert(0, "/" + slot.decode())


choose()
del choose
