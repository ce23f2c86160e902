"""SHT40, SHT41, SHT45: humidity and temperature over I2C, checked by a CRC-8 of each word.

The bus is an object with the interface of `machine.I2C`. A measurement is begun by `start` and not
waited for.

Not here: the heater, and the serial number.

Source of numbers: the SHT4x datasheet, sections 4.4 to 4.6, unless said otherwise.
"""

from sensing import Field, Sensor, SensorError

BUS = "i2c"  # several can share two pins, each at an address of its own


class SHT4x(Sensor):
    """The sensor at `address` of an I2C bus: 0x44, by its order number also 0x45 or 0x46."""

    # Its humidity follows a breath; a time constant of 4 s makes 10 % of 26 in a second.
    fields = (
        Field("temperature", "°C", 2, -4000, 12500, 200),
        Field("humidity", "%", 2, 0, 10000, 1000),
    )
    pace_ms = 1000  # so that it does not heat itself
    warm_up_ms = 1
    lead_ms = 10  # 8.3 ms at the most, with high precision
    fresh_ms = 990
    command = b"\xfd"

    def __init__(self, i2c, address=0x44):
        self._i2c = i2c
        self._address = address
        self._frame = bytearray(6)

    def start(self):
        """Begin a measurement. Raises SensorError: no-response when nobody acknowledges."""
        try:
            self._i2c.writeto(self._address, self.command)
        except OSError:
            raise SensorError("no-response")

    def read(self):
        """(temperature, humidity), in hundredths of a degree C and of % RH.

        Raises SensorError: no-response, also when nothing was started or it is too early; checksum.
        """
        frame = self._frame
        try:
            self._i2c.readfrom_into(self._address, frame)
        except OSError:
            raise SensorError("no-response")
        if crc8(frame, 0) or crc8(frame, 3):
            raise SensorError("checksum")
        # 175 / 65535, in whole numbers that need no more than 30 bits.
        temperature = ((frame[0] << 8 | frame[1]) * 3500 + 6553) // 13107 - 4500
        # By the datasheet what lies outside 0 to 100 % is to be cut off.
        return temperature, min(max(self.humidity(frame[3] << 8 | frame[4]), 0), 10000)

    def humidity(self, raw):
        """Hundredths of % RH: 125 / 65535, less 6."""
        return (raw * 2500 + 6553) // 13107 - 600


def crc8(frame, at):
    """CRC-8 (polynomial 0x31, begun with 0xFF) of three bytes: 0 if the third is right."""
    crc = 0xFF
    for index in range(at, at + 3):
        crc ^= frame[index]
        for _ in range(8):
            crc = crc << 1 ^ (0x131 if crc & 0x80 else 0)
    return crc


def sensor(machine, scl, sda, address=0x44):
    """The sensor on these two pins, which need pull-ups."""
    return SHT4x(bus(machine, scl, sda), address)


def bus(machine, scl, sda):
    """An I2C bus in software: any two pins will do, and as many buses as there are."""
    return machine.SoftI2C(scl=machine.Pin(scl), sda=machine.Pin(sda), freq=100_000)
