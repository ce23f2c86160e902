"""DHT22 (AM2302) humidity and temperature sensor: from its 5-byte frame to two checked numbers.

The line is timed by a function with the interface of `machine.dht_readinto`, which is passed in. It
reads no clock, so the pace is the caller's to keep:

1. Ask at most every `MIN_INTERVAL_MS`; a sensor that is asked sooner stays silent.
2. Do not ask within `POWER_UP_MS` of power-up; the first request after that often gets no answer.
3. What is read was measured at the previous request. After a long pause, read twice, at least
   `MIN_INTERVAL_MS` apart, and throw the first away.

On the ESP32 one read holds the CPU for about 270 ms (250 ms high, 18 ms low, 5 ms of data).

Source of numbers: the AM2302 datasheet, unless said otherwise.
"""

from micropython import const

MIN_INTERVAL_MS = 2000
POWER_UP_MS = 1000

_T_MIN = const(-400)  # tenths of a degree Celsius
_T_MAX = const(800)
_H_MAX = const(1000)  # tenths of % relative humidity


class DHTError(ValueError):
    """No usable frame. `reason` is no-response, checksum, all-zero or out-of-range."""

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def decode(frame):
    """Turn the sensor's 5 bytes into (temperature, humidity), in tenths of a degree C and of % RH.

    Raises DHTError: checksum, all-zero, or out-of-range beyond -40.0..80.0 C and 0.0..100.0 %.
    """
    if (frame[0] + frame[1] + frame[2] + frame[3]) & 0xFF != frame[4]:
        raise DHTError("checksum")
    # A line held low reads as zeros, and their checksum is right. 0.0 C at 0.0 % is no weather.
    if not (frame[0] or frame[1] or frame[2] or frame[3]):
        raise DHTError("all-zero")
    humidity = frame[0] << 8 | frame[1]
    raw = frame[2] << 8 | frame[3]
    temperature = raw & 0x7FFF
    if raw & 0x8000:
        # Sign and magnitude by the datasheet; some clones send two's complement. The range tells
        # them apart: no true magnitude is over 400, and -40.0 in two's complement reads as 32368.
        temperature = raw - 0x10000 if temperature > -_T_MIN else -temperature
    if humidity > _H_MAX or not _T_MIN <= temperature <= _T_MAX:
        raise DHTError("out-of-range")
    return temperature, humidity


class DHT22:
    """A sensor on `pin`, read by `readinto(pin, buffer)`: `machine.dht_readinto` or its like."""

    def __init__(self, pin, readinto):
        self._pin = pin
        self._readinto = readinto
        self._frame = bytearray(5)

    def read(self):
        """Ask once and return (temperature, humidity) as `decode` does.

        Keep the pace that the module's head gives. Raises DHTError, with no-response when
        `readinto` raises OSError. The buffer then holds the bits that came before the line fell
        silent, and nobody looks at them.
        """
        try:
            self._readinto(self._pin, self._frame)
        except OSError:
            raise DHTError("no-response")
        return decode(self._frame)
