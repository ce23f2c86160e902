"""A node's Readings as tests want them: of one sensor with two fields. Both Pythons."""

import struct

from device.generations import named
from node.readings.layouts import layout
from node.readings.telemetry import Telemetry
from node.shared.reading import Reading
from sensing import Field

FIELDS = (Field("temperature", "°C", 1, -400, 800, 50), Field("humidity", "%", 1, 0, 1000, 200))
LAYOUT = layout(FIELDS)
PACKED = Telemetry("", 1, 0, None, LAYOUT)
SIZE = PACKED.size
pack_into = PACKED.pack_into
FOLDER, NOTE = named(PACKED.fields, PACKED.format)  # of a node's log


def unpack_from(buffer: bytes, offset: int) -> Reading:
    """Return the Reading that is packed there."""
    boot, seq, ts, up, *values = struct.unpack_from(PACKED.format, buffer, offset)
    pairs = zip(values, PACKED.fields)  # noqa: B905 (MicroPython's has no strict)
    known = [None if value == field[2] else value for value, field in pairs]
    return Reading(boot, seq, ts or None, up, tuple(known))
