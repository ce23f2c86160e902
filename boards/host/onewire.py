"""Stands in for the chip's `onewire`: a bus with the one DS18B20 that stands on the table there.

A line of its capture is one conversion: {"t": seconds, "pad": the nine bytes of the scratchpad in
hex}, as they were on the wire, checksum included; an empty text for a conversion that the sensor
did not answer to. The first line has its "rom", eight bytes in hex.

Stricter than the chip's: a sensor that converts (750 ms) answers nobody, which a real one with a
supply of its own would; a command that it does not know, and what is written or read out of turn,
is an AssertionError. Kinder: it takes no time.
"""

import binascii

import laptop
import machine
import table
from micropython import const
from replay import Replay

_CONVERT_MS = const(750)
_POWER_UP = b"\x50\x05\x4b\x46\x7f\xff\x0c\x10\x1c"  # 85.0 degrees, by the datasheet

# What may be written, by what is expected: a command, and what is expected after it.
_COMMANDS = {"rom": {0x33: "function", 0x55: "match", 0xCC: "function"}}
_COMMANDS["function"] = {0x44: None, 0xBE: None}


class OneWireError(Exception):
    """Nobody answers."""


class OneWire:
    """The bus on `pin`, which needs a pull-up of its own."""

    def __init__(self, pin):
        if not isinstance(pin, machine.Pin):
            raise TypeError("expecting a pin")
        self._sensor = _sensor_on(pin.gpio)
        self._expected = None
        self._said = b""

    def reset(self, required=False):
        """Whether there is a presence pulse."""
        there = bool(self._sensor and self._sensor.present())
        self._expected = "rom" if there else None
        if required and not there:
            raise OneWireError
        return there

    def writebyte(self, value):
        """One byte of a command."""
        self.write(bytes((value,)))

    def write(self, buffer):
        """A command, or the ROM that belongs to one."""
        expected, self._said = self._expected, b""
        if expected == "match":
            if len(buffer) != 8:
                raise AssertionError("a ROM has eight bytes")
            self._expected = "function" if bytes(buffer) == self._sensor.rom else "nobody"
            return
        if expected == "nobody":
            return  # another one was meant
        command = buffer[0]
        if not expected or len(buffer) != 1 or command not in _COMMANDS[expected]:
            raise AssertionError("written out of turn, or no command that is known here")
        self._expected = _COMMANDS[expected][command]
        if command == 0x33:
            self._said = self._sensor.rom
        elif command == 0x44:
            self._sensor.convert()
        elif command == 0xBE:
            self._said = self._sensor.pad()

    def readbyte(self):
        """One byte of the answer: all ones where nobody says anything."""
        byte = bytearray(1)
        self.readinto(byte)
        return byte[0]

    def readinto(self, buffer):
        """Fill `buffer` with the next bytes of the answer."""
        for index in range(len(buffer)):
            buffer[index] = self._said[index] if index < len(self._said) else 0xFF
        self._said = self._said[len(buffer) :]

    def crc8(self, data):
        """CRC-8 of Maxim's 1-Wire: 0 over data and its CRC."""
        return _crc8(data)


def _crc8(data):
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x8C if crc & 1 else 0)
    return crc


class _DS18B20:
    """The sensor: its `rom`, and its scratchpad. It is freshly powered when the node begins."""

    def __init__(self, gpio, capture):
        self._gpio = gpio
        self.rom = b""
        self._pad = _POWER_UP
        self._ready_at = None  # while it converts
        self._unread = False
        try:
            self._replay = Replay(capture, self._taken)
        except ValueError as error:
            table.refuse(error)
        if len(self.rom) != 8:
            table.refuse(capture + " has no rom in its first line")
        self._coming = self._next()

    def present(self):
        """Whether it answers a reset."""
        if self._ready_at is not None:
            if table.early(self._ready_at):
                return False
            self._ready_at = None
        if self._wanted().get("unplugged"):
            return False
        if self._unread or self._coming:
            return True
        self._coming = self._next()  # it was asked, and stayed silent
        return False

    def convert(self):
        """Measure: what was asked before is over."""
        self._ready_at = laptop.clock.now() + _CONVERT_MS
        self._pad, self._coming, self._unread = self._coming, self._next(), True
        wanted = self._wanted()
        if wanted:
            self._pad = laptop.wants.ds18b20(wanted, self._pad, _crc8)

    def pad(self):
        """The nine bytes of the last conversion."""
        self._unread = False
        return self._pad

    def _wanted(self):
        return laptop.wants.of(self._gpio) if laptop.wants else {}

    def _next(self):
        try:
            return self._replay.next()
        except ValueError as error:
            table.refuse(error)

    def _taken(self, line):
        if "rom" in line:
            self.rom = binascii.unhexlify(line["rom"])
        pad = binascii.unhexlify(line["pad"])
        if len(pad) not in (0, 9):
            raise ValueError
        return pad


_sensors = {}


def _sensor_on(gpio):
    """The one on this GPIO; None where none is."""
    driver, capture = table.plays(gpio)
    if driver == "ds18b20" and gpio not in _sensors:
        _sensors[gpio] = _DS18B20(gpio, capture)
    return _sensors.get(gpio)
