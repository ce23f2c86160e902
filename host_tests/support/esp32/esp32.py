"""The chip's `esp32` on the virtual board: its heap, with PSRAM that never runs short."""

HEAP_DATA = 4


def idf_heap_info(capabilities):
    """(size, free, longest free piece, least ever free) of each part, in bytes."""
    if capabilities != HEAP_DATA:
        raise ValueError("no such heap here")
    return [(100_000, 60_000, 40_960, 50_000), (4_000_000, 3_900_000, 3_801_088, 3_800_000)]
