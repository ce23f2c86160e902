"""An I2C bus with SHT4x and SHT3x on it, as their datasheets say, behind the interface of
`machine.SoftI2C`.

Stricter than the chips: a command that is not a measurement's is an AssertionError, a measurement
takes as long as it may, and what was read is gone.
"""

import errno

from support.sensors.one_wire import crc8

# Command: how many ms it takes at most.
SHT4X = {b"\xfd": 9}
SHT3X = {b"\x24\x00": 16}


def word(value: int) -> bytes:
    """A word as it is sent: two bytes, and their CRC-8. That is 1-Wire's, with each byte's bits
    in the other order, and begins with 0xFF.
    """
    data = bytes((value >> 8, value & 255))
    return data + _mirrored(bytes((crc8(_mirrored(data), 0xFF),)))


def _mirrored(data: bytes) -> bytes:
    return bytes(sum((byte >> bit & 1) << 7 - bit for bit in range(8)) for byte in data)


class Climate:
    """A sensor that knows `commands`, and will say the words `temperature` and `humidity`."""

    def __init__(self, commands: dict[bytes, int], temperature: int, humidity: int) -> None:
        self.commands = commands
        self.temperature = temperature
        self.humidity = humidity
        self.done_at: int | None = None


class Bus:
    """Sensors by their address; `now` is set by the test. `flip`: a bit of the next answer."""

    def __init__(self, sensors: dict[int, Climate]) -> None:
        self.sensors = sensors
        self.now = 0
        self.flip: int | None = None

    def _at(self, address: int) -> Climate:
        if address not in self.sensors:
            raise OSError(errno.ENODEV)
        return self.sensors[address]

    def writeto(self, address: int, data: bytes) -> None:
        """A command."""
        sensor = self._at(address)
        assert bytes(data) in sensor.commands, data
        sensor.done_at = self.now + sensor.commands[bytes(data)]

    def readfrom_into(self, address: int, buffer: bytearray) -> None:
        """What was measured; not acknowledged before it is done, and not twice."""
        sensor = self._at(address)
        if sensor.done_at is None or self.now < sensor.done_at:
            raise OSError(errno.ENODEV)
        sensor.done_at = None
        assert len(buffer) == 6, buffer
        buffer[:] = word(sensor.temperature) + word(sensor.humidity)
        if self.flip is not None:
            buffer[self.flip // 8] ^= 1 << self.flip % 8
            self.flip = None
