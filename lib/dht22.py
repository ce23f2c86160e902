"""DHT22 (AM2302, AM2320 on its single wire): humidity and temperature, from a 5-byte frame.

The line is timed by a function with the interface of `machine.dht_readinto`, which is passed in.
On the ESP32 one read holds the CPU for about 270 ms (250 ms high, 18 ms low, 5 ms of data).

What is read was measured at the previous request. A sensor that is asked sooner than its pace
allows stays silent, and the first request after power-up often gets no answer.

Source of numbers: the AM2302 datasheet (single-bus communication; sensor performance), unless said
otherwise.
"""

from sensing import Field, Sensor, SensorError


class DHT22(Sensor):
    """A sensor on `pin`, read by `readinto(pin, buffer)`: `machine.dht_readinto` or its like."""

    # A thermometer with a time constant of 10 s, in a draught, makes 2 degrees of 11 in its pace.
    fields = (
        Field("temperature", "°C", 1, -400, 800, 20),
        Field("humidity", "%", 1, 0, 1000, 100),
    )
    pace_ms = lead_ms = 2000
    warm_up_ms = 1000
    # Two time constants of the thermometer (datasheet: 10 s): an older value is thrown away. The
    # odd half second keeps a late step from changing what happens at an interval of whole seconds.
    fresh_ms = 20_500

    def __init__(self, pin, readinto):
        self._pin = pin
        self._readinto = readinto
        self._frame = bytearray(5)

    def read(self):
        """Ask once and return (temperature, humidity), in tenths of a degree C and of % RH.

        Raises SensorError: no-response when `readinto` raises OSError, checksum, all-zero. What a
        failed read has left of a frame is never looked at.
        """
        frame = self._frame
        try:
            self._readinto(self._pin, frame)
        except OSError:
            raise SensorError("no-response")
        if (frame[0] + frame[1] + frame[2] + frame[3]) & 0xFF != frame[4]:
            raise SensorError("checksum")
        # A line held low reads as zeros, and their checksum is right. 0.0 C at 0.0 % is no weather.
        if not any(frame):
            raise SensorError("all-zero")
        return self.decode(frame)

    def decode(self, frame):
        """(temperature, humidity) of a frame whose checksum is right."""
        raw = frame[2] << 8 | frame[3]
        temperature = raw & 0x7FFF
        if raw & 0x8000:
            # Sign and magnitude by the datasheet; some clones send two's complement. The range
            # tells them apart: no true magnitude is over 400, and -40.0 in two's complement reads
            # as 32368.
            temperature = raw - 0x10000 if temperature > 400 else -temperature
        return temperature, frame[0] << 8 | frame[1]


def sensor(machine, gpio):
    """The sensor whose data line is on `gpio`; the line needs a pull-up of its own."""
    return DHT22(machine.Pin(gpio), machine.dht_readinto)
