"""What is done once, or when another field has no value than before: how Readings of these fields
are packed, and the forms of their text. Imported for it, and let go of.
"""

from node.shared.unimport import unimport

_JSON = b'{"v":1,"boot":%d,"seq":%d,"ts":%s%d'
_WORDS = b"%sseq=%d%s%s"
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


def forms(fields, shape):
    """(shape, form of its JSON, form of its words) where `shape` tells which fields are null: a 1
    and a bit for each, the last field's the lowest.
    """
    unimport("node.readings.layouts")  # when this returns
    json, words = _JSON, _WORDS
    bit = 1 << len(fields)
    for name, unit, _ in fields:
        bit >>= 1
        form = b"%s%d%s"
        if shape & bit:
            form = b"%s%s%s"
        elif unit > 1:
            form = b"%s" + places(unit)
        json += b',"%s":' % name.encode() + form
        words += b" %s=" % name.encode() + form
    return shape, json + b"}", words


def places(unit):
    """The form of a number that is not negative, and of its rest, in 1/unit: b"%d.%01d" for 10."""
    return b"%%d.%%0%dd" % (len(str(unit)) - 1)
