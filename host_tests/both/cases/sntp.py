"""Cases of lib/sntp.py: which replies give which time, and which are refused, by which reason."""

import struct

import sntp

NONCE = b"12345678"
EARLIEST = 1_767_225_600
FROM_1900 = 2_208_988_800


def _reply(unix: int, fraction: int = 0, first: int = 0x24, stratum: int = 2) -> bytes:
    head = struct.pack("!BBbbII4s", first, stratum, 6, -20, 0, 0, b"TEST")
    seconds = (unix + FROM_1900) & 0xFFFFFFFF
    return head + b"\0" * 8 + NONCE + b"\0" * 8 + struct.pack("!II", seconds, fraction)


def _read(packet: bytes) -> object:
    """Return the time in ms, None, or the reason of the refusal."""
    try:
        return sntp.read(packet, NONCE, EARLIEST)
    except sntp.Refused as refused:
        return refused.reason


def case_request() -> None:
    """A request is 48 bytes: version 4, mode 3, the nonce as its time of sending, else nothing."""
    packet = sntp.request(NONCE)
    assert packet == b"\x23" + b"\0" * 39 + NONCE
    for nonce in (b"", b"1234567", b"123456789"):
        try:
            sntp.request(nonce)
        except ValueError:
            continue
        raise AssertionError("taken")


def case_time() -> None:
    """The time is the server's time of sending, to the millisecond, whatever is behind it."""
    assert _read(_reply(1_800_000_000)) == 1_800_000_000_000
    assert _read(_reply(1_800_000_000, 1 << 31)) == 1_800_000_000_500
    assert _read(_reply(1_800_000_000, 0xFFFFFFFF)) == 1_800_000_000_999
    assert _read(_reply(1_800_000_000) + b"extension") == 1_800_000_000_000
    for first in (0x24, 0x64, 0xA4, 0x1C):  # leap warnings are no fault; an old server says 3
        assert _read(_reply(1_800_000_000, 0, first)) == 1_800_000_000_000
    for stratum in (1, 15):
        assert _read(_reply(1_800_000_000, 0, 0x24, stratum)) == 1_800_000_000_000


def case_era() -> None:
    """Over the wrap of 2036-02-07 06:28:16 time goes on by single seconds."""
    wrap = (1 << 32) - FROM_1900
    assert struct.unpack_from("!I", _reply(wrap), 40)[0] == 0
    for unix in (wrap - 1, wrap, wrap + 1):
        assert _read(_reply(unix, 1)) == unix * 1000


def case_absurd() -> None:
    """No time, one before the floor, or one from 2100 on is refused; both ends are exact."""
    assert _read(_reply(EARLIEST)) == EARLIEST * 1000
    assert _read(_reply(EARLIEST - 1)) == "absurd"
    assert _read(_reply(sntp.LATEST - 1)) == (sntp.LATEST - 1) * 1000
    assert _read(_reply(sntp.LATEST)) == "absurd"
    assert _read(_reply(0)) == "absurd"
    assert _read(_reply(EARLIEST)[:40] + b"\0" * 8) == "absurd"


def case_refused() -> None:
    """Stratum 0 is a kiss of death, leap 3 and strata above 15 know no time."""
    assert _read(_reply(1_800_000_000, 0, 0x24, 0)) == "kiss"
    assert _read(_reply(1_800_000_000, 0, 0xE4, 0)) == "kiss"
    assert _read(_reply(1_800_000_000, 0, 0xE4)) == "unsynchronised"
    for stratum in (16, 17, 255):
        assert _read(_reply(1_800_000_000, 0, 0x24, stratum)) == "unsynchronised"


def case_stranger() -> None:
    """What answers no request of ours is passed over, even if it also says no."""
    for first in range(256):
        if first & 7 != 4:
            assert _read(_reply(1_800_000_000, 0, first)) is None
    packet = _reply(1_800_000_000, 0, 0x24, 0)
    for at in range(24, 32):
        for bit in range(8):
            other = packet[:at] + bytes([packet[at] ^ 1 << bit]) + packet[at + 1 :]
            assert _read(other) is None, (at, bit)


def case_broken() -> None:
    """Every truncated reply is passed over; any flipped bit gives a time, None or a refusal."""
    packet = _reply(1_800_000_000, 12345)
    for size in range(len(packet)):
        assert _read(packet[:size]) is None, size
    for at in range(len(packet)):
        for bit in range(8):
            found = _read(packet[:at] + bytes([packet[at] ^ 1 << bit]) + packet[at + 1 :])
            if type(found) is int:
                assert EARLIEST * 1000 <= found < sntp.LATEST * 1000
            else:
                assert found in (None, "kiss", "unsynchronised", "absurd")
