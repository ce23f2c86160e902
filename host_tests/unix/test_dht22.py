"""lib/dht22.py: what each kind of frame means, under the real interpreter."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

DECODE = """
import dht22
try:
    print(*dht22.decode(bytes({frame})))
except dht22.DHTError as error:
    print(error.reason)
"""


def frame(humidity: int, temperature: int) -> list[int]:
    """The 5 bytes for two 16-bit words, checksum right."""
    data = [humidity >> 8, humidity & 0xFF, temperature >> 8, temperature & 0xFF]
    return [*data, sum(data) & 0xFF]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        # The datasheet's own two examples.
        ([0x02, 0x8C, 0x01, 0x5F, 0xEE], "351 652"),
        ([0x02, 0x8C, 0x80, 0x65, 0x73], "-101 652"),
        # Limits of the range, and one tenth beyond each.
        (frame(0, 800), "800 0"),
        (frame(1000, 0x8000 | 400), "-400 1000"),
        (frame(500, 801), "out-of-range"),
        (frame(1001, 200), "out-of-range"),
        (frame(0xFFFF, 200), "out-of-range"),
        # Two's complement, as some clones send it: -0.1, -10.1, -40.0 and one tenth beyond.
        (frame(500, 0xFFFF), "-1 500"),
        (frame(500, 0x10000 - 101), "-101 500"),
        (frame(500, 0x10000 - 400), "-400 500"),
        (frame(500, 0x10000 - 401), "out-of-range"),
        # Sign and magnitude just beyond the range is no two's complement in range either.
        (frame(500, 0x8000 | 401), "out-of-range"),
        # Minus nothing is nothing.
        (frame(500, 0x8000), "0 500"),
        # True zeros are fine when they are not all there is.
        (frame(1, 0), "0 1"),
        (frame(0, 1), "1 0"),
        ([0, 0, 0, 0, 0], "all-zero"),
        # The checksum counts modulo 256, and is looked at before anything else.
        ([0x03, 0xE8, 0x01, 0xF4, 0xE0], "500 1000"),
        ([0x02, 0x8C, 0x01, 0x5F, 0xEF], "checksum"),
        ([0, 0, 0, 0, 1], "checksum"),
        ([0xFF, 0xFF, 0xFF, 0xFF, 0x00], "checksum"),
    ],
)
def test_frame_means(data: list[int], said: str) -> None:
    """A frame decodes to tenths, or is refused for the reason that holds."""
    assert run(DECODE.format(frame=data)).strip() == said


def test_every_flipped_bit_is_noticed() -> None:
    """Any single wrong bit of a good frame fails the checksum."""
    script = """
import dht22
good = bytes([0x02, 0x8C, 0x01, 0x5F, 0xEE])
noticed = 0
for bit in range(40):
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    try:
        dht22.decode(bad)
    except dht22.DHTError as error:
        noticed += error.reason == "checksum"
print(noticed)
"""
    assert run(script) == "40\n"


def test_buffer_of_a_failed_read_is_never_used() -> None:
    """A good frame left in the buffer by a read that then fails gives no value."""
    script = """
import errno
from dht22 import DHT22, DHTError

def readinto(pin, buffer):
    buffer[:] = b"\\x02\\x8c\\x01\\x5f\\xee"
    if pin == "breaks":
        raise OSError(errno.ETIMEDOUT)

print(DHT22("works", readinto).read())
try:
    print(DHT22("breaks", readinto).read())
except DHTError as error:
    print(error.reason, isinstance(error, ValueError))
"""
    assert run(script) == "(351, 652)\nno-response True\n"


def test_foreign_errors_are_not_swallowed() -> None:
    """A mistake of the caller, such as a wrong pin, is no sensor fault and comes through."""
    script = """
from dht22 import DHT22

def readinto(pin, buffer):
    raise TypeError("not a pin")

try:
    DHT22(None, readinto).read()
except TypeError as error:
    print(error)
"""
    assert run(script) == "not a pin\n"
