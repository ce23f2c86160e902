"""How Readings of a node's fields are packed. Imported for it, and let go of."""

from micropython import const

# Bytes of a packet in one piece, and what of them is topic, header and all but the numbers.
_PIECE = const(1024)
_FRAME = const(130)
# By struct's code: the least number stands for None.
_NULLS = {"h": -0x8000, "i": -0x80000000}


def layout(fields):
    """The layout of a node with these Fields (lib/sensing.py): 16 bits where they are enough."""
    return of(
        [
            (name, decimals, "h" if -0x8000 < low <= high < 0x8000 else "i")
            for name, _, decimals, low, high, _ in fields
        ]
    )


def of(fields):
    """(fields, format) as Telemetry has them, of name, decimals (0 to 9) and code of each: "h", 16
    bits, or "i", 32.
    """
    form = "<IIII" + "".join([code for _, _, code in fields])
    return [(name, 10**decimals, _NULLS[code]) for name, decimals, code in fields], form


def room(fields):
    """How many Readings with these fields, as `of` gives them, have room in a batch of 1 KB:
    whatever was measured, but for a long topic.
    """
    left, each = _PIECE - _FRAME, 8  # with the comma, as each number below
    for name, _, null in fields:
        left -= len(name) + 5
        each += 8 if null == _NULLS["h"] else 13
    return max(left // each, 1)
