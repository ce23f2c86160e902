"""DHT11: humidity and temperature, coarser than the DHT22's and in another frame.

The line is the same (dht22.py), and so is that what is read was measured at the previous request.

Source of numbers: the DHT11 manual of Aosong (ASAIR), of today's kind (-20 to 60 degrees, 5 to
95 %). Older ones (0 to 50 degrees, 20 to 90 %) leave both decimals 0.
"""

from dht22 import DHT22
from sensing import Field, SensorError


class DHT11(DHT22):
    """A sensor on `pin`, read by `readinto(pin, buffer)`: `machine.dht_readinto` or its like."""

    # A whole degree and 1 % is what older ones tell apart, so what is believed is a few of them.
    fields = (
        Field("temperature", "°C", 1, -200, 600, 30),
        Field("humidity", "%", 1, 50, 950, 100),
    )
    pace_ms = lead_ms = 1000

    def decode(self, frame):
        """(temperature, humidity) in tenths: each a byte of whole ones and one of tenths, of which
        the temperature's has the sign above it. Raises SensorError: out-of-range for tenths that
        are none.
        """
        below = frame[3] & 0x7F
        if frame[1] > 9 or below > 9:
            raise SensorError("out-of-range")
        temperature = frame[2] * 10 + below
        return -temperature if frame[3] & 0x80 else temperature, frame[0] * 10 + frame[1]


def sensor(machine, gpio):
    """The sensor whose data line is on `gpio`; the line needs a pull-up of its own."""
    return DHT11(machine.Pin(gpio), machine.dht_readinto)
