"""A heap as a chip has it when the node is up: what is free lies between islands, a KB each.

Runs under MicroPython alone. What asks for more in a row gets a MemoryError; on a chip the heap
would grow, at the price of what TLS and Wi-Fi have.
"""

import gc

# With the object that points to it, and what the interpreter adds to a text, there is room for 1 KB
# of data in a row, and no more.
PIECE = 1024 + 16
_SIZES = (PIECE, 512, 256, 128, 64, 16)


def cut_up() -> list:
    """Take all that is free, then give every other long piece back. Keep what is returned."""
    gc.collect()
    held: list = [None] * 4000
    count = long = 0
    for size in _SIZES:
        try:
            while True:
                held[count] = bytearray(size)
                count += 1
        except MemoryError:
            long = long or count
    for at in range(0, long, 2):
        held[at] = None
    gc.collect()
    try:
        bytearray(PIECE + 32)
    except MemoryError:
        return held
    raise AssertionError("a long piece is left")
