"""A Reading: what the sensor said at one moment, as a tuple in RAM and as 20 bytes in a store.

Numbers are whole tenths throughout: on the chip a float costs heap, and 24.4 has no exact one.
"""

import struct
from collections import namedtuple

# Seconds between Readings, least and most: a DHT22 needs 2 s between reads.
INTERVAL_S = (2, 86400)

# boot         boot counter, 1 or more; (boot, seq) names the Reading for ever
# seq          counts the Readings of this boot from 0
# ts           Unix seconds when it was taken, or None if the clock was not set
# up           seconds since boot when it was taken
# temperature  tenths of a degree Celsius
# humidity     tenths of % relative humidity
Reading = namedtuple("Reading", "boot seq ts up temperature humidity")

UNKNOWN = b"null"  # as JSON has a time that nobody knows

_FORMAT = "<IIIIhH"
SIZE = 20


def pack_into(buffer, offset, reading):
    """Write the Reading's 20 bytes; a `ts` that is None becomes 0."""
    boot, seq, ts, up, temperature, humidity = reading
    struct.pack_into(_FORMAT, buffer, offset, boot, seq, ts or 0, up, temperature, humidity)


def unpack_from(buffer, offset):
    """The Reading that `pack_into` wrote there."""
    boot, seq, ts, up, temperature, humidity = struct.unpack_from(_FORMAT, buffer, offset)
    return Reading(boot, seq, ts or None, up, temperature, humidity)


def taken_s(buffer, offset):
    """`up` alone of the Reading that `pack_into` wrote there."""
    return struct.unpack_from("<I", buffer, offset + 12)[0]


def words(reading):
    """The Reading as a line of the log has it."""
    values = (reading.seq, tenths(reading.temperature), tenths(reading.humidity))
    return (b"seq=%d temperature=%s humidity=%s" % values).decode()


def tenths(number):
    """`number` tenths as decimal text (bytes) with one place: -41 is b"-4.1".

    Bytes, because MicroPython looks each new str up among all names that it knows.
    """
    form = b"%d.%d"
    if number < 0:
        form = b"-%d.%d"
        number = -number
    return form % (number // 10, number % 10)
