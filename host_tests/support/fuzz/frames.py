"""Targets that read one piece at a time: a frame of the sensor, a packet of a time server."""

from support.fuzz.common import NOW_S


class Frames:
    """lib/dht22.py: five bytes of a sensor, or fewer before it falls silent."""

    heap, per_byte, kept = 1024, 0, 2048
    size_max = 5
    samples = (
        b"\x02\x8c\x01\x5f\xee",
        b"\x02\x8c\x80\x65\x73",
        b"\x00\x00\xff\x38\x37",
        b"\x00" * 5,
    )
    tokens = (b"\x80", b"\xff", b"\x00", b"\x7f")

    def __init__(self) -> None:
        from dht22 import DHT22
        from sensing import SensorError, measure

        self._error = SensorError
        self._measure = measure
        self._data = b""
        self._sensor = DHT22(None, self._readinto)

    def _readinto(self, pin: object, buffer: bytearray) -> None:
        buffer[: len(self._data)] = self._data
        if len(self._data) < 5:
            raise OSError(116)

    def feed(self, data: bytes) -> None:
        """Read once; a frame with a checksum of its own is read too."""
        for self._data in (data, data[:4] + bytes((sum(data[:4]) & 255,))):
            try:
                temperature, humidity = self._measure(self._sensor)
            except self._error as error:
                if error.args[0] not in ("no-response", "checksum", "all-zero", "out-of-range"):
                    raise AssertionError("reason") from error
                continue
            if not (-400 <= temperature <= 800 and 0 <= humidity <= 1000):
                raise AssertionError("range")


class Time:
    """lib/sntp.py: what comes to a port that anybody can send to."""

    heap, per_byte, kept = 1024, 0, 2048
    size_max = 80
    tokens = (b"\x00", b"\xff", b"\x24", b"\x00\x00\x00\x00", b"noncenon")

    def __init__(self) -> None:
        import sntp

        self._sntp = sntp
        self.samples = (b"\x24\x02" + bytes(22) + b"noncenon" + bytes(8) + b"\xea\x00" + bytes(6),)

    def feed(self, data: bytes) -> None:
        """Read one packet: no answer, refused, or a time that can be."""
        try:
            unix_ms = self._sntp.read(data, b"noncenon", NOW_S - 1000)
        except self._sntp.Refused as error:
            if error.args[0] not in ("kiss", "unsynchronised", "absurd"):
                raise AssertionError(error.reason) from error
            return
        if unix_ms is not None and not NOW_S - 1000 <= unix_ms // 1000 < self._sntp.LATEST:
            raise AssertionError(unix_ms)
