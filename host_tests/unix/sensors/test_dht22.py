"""lib/dht22.py and dht11.py: what each kind of frame means, under the real interpreter."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

DECODE = """
from {driver} import {kind}
from sensing import SensorError, measure

def readinto(pin, buffer):
    buffer[:] = bytes({frame})

try:
    print(*measure({kind}(None, readinto)))
except SensorError as error:
    print(error.args[0])
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
    script = DECODE.format(frame=data, driver="dht22", kind="DHT22")
    assert run(script).strip() == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        # The manual's own example: 53 % and 24 degrees, both decimals 0.
        ([0x35, 0x00, 0x18, 0x00, 0x4D], "240 530"),
        # Tenths of both, as today's ones have them; below zero by the bit above the tenths.
        ([0x35, 0x04, 0x18, 0x09, 0x5A], "249 534"),
        ([0x35, 0x00, 0x0A, 0x81, 0xC0], "-101 530"),
        ([0x35, 0x00, 0x00, 0x85, 0xBA], "-5 530"),
        # Limits of the range, and one tenth beyond each.
        ([95, 0, 60, 0, 155], "600 950"),
        ([5, 0, 20, 0x80, 153], "-200 50"),
        ([95, 1, 60, 0, 156], "out-of-range"),
        ([4, 9, 20, 0, 33], "out-of-range"),
        ([95, 0, 60, 1, 156], "out-of-range"),
        ([50, 0, 20, 0x81, 199], "out-of-range"),
        # A frame of a DHT22 is none of a DHT11's: 65.2 % have no byte of tenths.
        ([0x02, 0x8C, 0x01, 0x5F, 0xEE], "out-of-range"),
        ([0x35, 0x0A, 0x18, 0x00, 0x57], "out-of-range"),
        ([0x35, 0x00, 0x18, 0x0A, 0x57], "out-of-range"),
        ([0, 0, 0, 0, 0], "all-zero"),
        ([0x35, 0x00, 0x18, 0x00, 0x4E], "checksum"),
    ],
)
def test_frame_of_a_dht11_means(data: list[int], said: str) -> None:
    """A byte of whole ones and one of tenths each, of which the temperature's has the sign."""
    script = DECODE.format(frame=data, driver="dht11", kind="DHT11")
    assert run(script).strip() == said


def test_every_flipped_bit_is_noticed() -> None:
    """Any single wrong bit of a good frame fails the checksum."""
    script = """
from dht22 import DHT22
from sensing import SensorError
good = bytes([0x02, 0x8C, 0x01, 0x5F, 0xEE])
noticed = 0
for bit in range(40):
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    def readinto(pin, buffer):
        buffer[:] = bad
    try:
        DHT22(None, readinto).read()
    except SensorError as error:
        noticed += error.args[0] == "checksum"
print(noticed)
"""
    assert run(script) == "40\n"


def test_buffer_of_a_failed_read_is_never_used() -> None:
    """A good frame left in the buffer by a read that then fails gives no value."""
    script = """
import errno
from dht22 import DHT22
from sensing import SensorError

def readinto(pin, buffer):
    buffer[:] = b"\\x02\\x8c\\x01\\x5f\\xee"
    if pin == "breaks":
        raise OSError(errno.ETIMEDOUT)

print(DHT22("works", readinto).read())
try:
    print(DHT22("breaks", readinto).read())
except SensorError as error:
    print(error.args[0])
"""
    assert run(script) == "(351, 652)\nno-response\n"


def test_request_ahead_of_a_reading_may_fail() -> None:
    """`start` asks for nothing: a silence, as the first request after power-up has it, is none."""
    script = """
import errno
from dht22 import DHT22

asked = []
def readinto(pin, buffer):
    asked.append(pin)
    if len(asked) == 1:
        raise OSError(errno.ETIMEDOUT)
    buffer[:] = b"\\x02\\x8c\\x01\\x5f\\xee"

sensor = DHT22("pin", readinto)
sensor.start()
sensor.start()
print(sensor.read(), asked)
"""
    assert run(script) == "(351, 652) ['pin', 'pin', 'pin']\n"


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
