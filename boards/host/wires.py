"""What only some sensors want of the chip's `machine`: its ADC, and a bus of two wires.

A line of an SHT's capture is one measurement, {"t": seconds, "i2c": the six bytes of its answer in
hex}, CRCs included; an empty text for one that was not acknowledged. Of a supply it is {"t":
seconds, "uv": microvolts at the pin}, for 100 ms.

Stricter than the chip's: a measurement is read once, and not before it can be done; a second one
cannot be begun meanwhile.
"""

import binascii
import errno

import laptop
import table
from machine import Pin
from micropython import const
from replay import Replay

_ADC1 = (32, 33, 34, 35, 36, 37, 38, 39)  # ADC2 is Wi-Fi's
_HOLDS_MS = const(100)
# By driver: the command, and the longest time that a measurement takes (datasheets: 8.3, 15.5 ms).
_SHTS = {"sht4x": (b"\xfd", 9), "sht3x": (b"\x24\x00", 16)}
_ADDRESS = const(0x44)


def _replay(capture, take):
    try:
        return Replay(capture, take)
    except ValueError as error:
        table.refuse(error)


def _next(replay):
    try:
        return replay.next()
    except ValueError as error:
        table.refuse(error)


def _wanted(gpio):
    return laptop.wants.of(gpio) if laptop.wants else {}


class ADC:
    """The voltage on a pin of ADC1. Only with 11 dB can it tell what a divider gives."""

    ATTN_0DB, ATTN_2_5DB, ATTN_6DB, ATTN_11DB = range(4)

    def __init__(self, pin, atten=ATTN_0DB):
        if not isinstance(pin, Pin) or pin.gpio not in _ADC1:
            raise ValueError("invalid pin")
        driver, capture = table.plays(pin.gpio)
        self._replay = _replay(capture, self._taken) if driver == "supply" else None
        self._gpio = pin.gpio
        self._most = 2_450_000 if atten == self.ATTN_11DB else 950_000
        self._until = laptop.clock.now()
        self._uv = _next(self._replay) if self._replay else 0

    def read_uv(self):
        """Microvolts; 0 where nothing is wired."""
        if self._replay and laptop.clock.now() - self._until > _HOLDS_MS:
            self._until = laptop.clock.now()
            self._uv = _next(self._replay)
            if _wanted(self._gpio).get("unplugged"):
                self._uv = 0
        return min(self._uv, self._most + 1)

    def _taken(self, line):
        uv = line["uv"]
        if type(uv) is not int or not 0 <= uv <= 3_300_000:
            raise ValueError
        return uv


class SoftI2C:
    """A bus with the SHT that is there, at its usual address."""

    def __init__(self, scl, sda, freq=400_000):
        if not isinstance(scl, Pin) or not isinstance(sda, Pin) or scl.gpio == sda.gpio:
            raise ValueError("invalid pin")
        self._gpio = scl.gpio
        self._driver, capture = table.plays(scl.gpio)
        self._command, self._takes_ms = _SHTS.get(self._driver, (None, 0))
        self._replay = _replay(capture, self._taken) if self._command else None
        self._ready_at = None  # of a measurement that was begun and not read

    def writeto(self, address, buffer):
        """Send a command. OSError(ENODEV) when nobody acknowledges."""
        wanted = _wanted(self._gpio)
        if not self._replay or address != _ADDRESS or wanted.get("unplugged"):
            raise OSError(errno.ENODEV)
        if bytes(buffer) != self._command:
            raise AssertionError("no command that is known here")
        if self._ready_at is not None and table.early(self._ready_at):
            raise OSError(errno.ENODEV)
        self._answer = _next(self._replay)
        if not self._answer:
            raise OSError(errno.ENODEV)
        if wanted:
            self._answer = laptop.wants.sht(wanted, self._driver, self._answer)
        self._ready_at = laptop.clock.now() + self._takes_ms
        return len(buffer) + 1

    def readfrom_into(self, address, buffer):
        """Fill `buffer` with the answer. OSError(ENODEV) when there is none, or not yet."""
        if address != _ADDRESS or self._ready_at is None or table.early(self._ready_at):
            raise OSError(errno.ENODEV)
        if len(buffer) != len(self._answer):
            raise AssertionError("an answer has six bytes")
        buffer[:] = self._answer
        self._ready_at = None

    def _taken(self, line):
        answer = binascii.unhexlify(line["i2c"])
        if len(answer) not in (0, 6):
            raise ValueError
        return answer
