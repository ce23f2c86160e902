"""A 1-Wire bus with DS18B20s on it, bit for bit what their datasheet says, behind the interface of
the `OneWire` in MicroPython's firmware.

Stricter than the chips: what breaks the protocol is an AssertionError, time is passed in, and a
conversion takes all of its 750 ms.
"""

CONVERT_MS = 750


def crc8(data: bytes, crc: int = 0) -> int:
    """CRC-8 of Maxim's 1-Wire, least significant bit first: 0 over data and its CRC. crc: what it
    begins with.
    """
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


def rom(serial: int, family: int = 0x28) -> bytes:
    """A ROM with a right checksum."""
    data = bytes((family,)) + serial.to_bytes(6, "little")
    return data + bytes((crc8(data),))


class Thermometer:
    """A DS18B20 with `rom`, at `sixteenths` of a degree. `powered` at which time in ms."""

    def __init__(self, rom: bytes, sixteenths: int, bits: int = 12) -> None:
        self.rom = rom
        self.sixteenths = sixteenths
        self.conversions = 0
        self.done_at: int | None = None
        self._config = (bits - 9) << 5 | 0x1F
        self.power_up()

    def power_up(self) -> None:
        """The supply has dipped: nothing is converted."""
        self._raw, self._below = 0x0550, 0x0C
        self.done_at = None

    def convert(self, now: int) -> None:
        """Begin a conversion at `now`."""
        self.conversions += 1
        self.done_at = now + CONVERT_MS

    def scratchpad(self, now: int) -> bytes:
        """The nine bytes, CRC included, as they are at `now`."""
        if self.done_at is not None and now >= self.done_at:
            self._raw = self.sixteenths & 0xFFFF
            self._below = 16 - (self._raw & 15)
            self.done_at = None
        raw = self._raw
        data = bytes((raw & 255, raw >> 8, 0x4B, 0x46, self._config, 0xFF, self._below, 0x10))
        return data + bytes((crc8(data),))


class Bus:
    """What the driver is given; `now` is set by the test. `held` is a line that is held low, `flip`
    a bit of the next answer to turn over.
    """

    def __init__(self, *sensors: Thermometer) -> None:
        self.sensors = list(sensors)
        self.now = 0
        self.held = False
        self.flip: int | None = None
        self._state = "idle"
        self._asked: list[Thermometer] = []
        self._reply = b""

    crc8 = staticmethod(crc8)

    def reset(self) -> bool:
        """Whether there is a presence pulse."""
        self._state = "rom"
        return self.held or bool(self.sensors)

    def write(self, data: bytes) -> None:
        """A command, or the ROM that belongs to one."""
        if self._state == "match":
            assert len(data) == 8, data
            self._asked = [each for each in self.sensors if each.rom == bytes(data)]
            self._state = "function"
            return
        assert len(data) == 1, data
        command, self._reply = data[0], b""
        if self._state == "rom":
            assert command in (0x33, 0x55, 0xCC), command
            self._asked = self.sensors
            self._state = "match" if command == 0x55 else "function"
            if command == 0x33:
                self._reply = self._all([each.rom for each in self._asked], 8)
        else:
            assert self._state == "function", self._state
            assert command in (0x44, 0xBE), command
            self._state = "over"
            if command == 0x44:
                for each in self._asked:
                    each.convert(self.now)
            else:
                self._reply = self._all([each.scratchpad(self.now) for each in self._asked], 9)

    def readinto(self, buffer: bytearray) -> None:
        """What those that were asked say: a 1 where none says 0."""
        reply = self._reply or b"\xff" * len(buffer)
        assert len(reply) == len(buffer), (len(reply), len(buffer))
        buffer[:] = b"\x00" * len(buffer) if self.held else reply
        if self.flip is not None:
            buffer[self.flip // 8] ^= 1 << self.flip % 8
            self.flip = None

    def _all(self, replies: list[bytes], size: int) -> bytes:
        said = bytearray(b"\xff" * size)
        for reply in replies:
            for index in range(size):
                said[index] &= reply[index]
        return bytes(said)
