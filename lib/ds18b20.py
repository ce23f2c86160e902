"""DS18B20 (and DS1822, MAX31820) thermometer on a 1-Wire bus, with a supply of its own.

The bus is an object with the interface of the `OneWire` that is in MicroPython's firmware. A
conversion is begun by `start` and not waited for. Reading takes 20 ms.

Not here: parasite power, which needs the line held up hard while it converts, and the DS18S20,
whose numbers mean something else.

Source of numbers: the DS18B20 datasheet (Measuring Temperature, Memory, Configuration Register, ROM
Commands, Function Commands), unless said otherwise.
"""

from binascii import unhexlify

from micropython import const
from sensing import Field, Sensor, SensorError

BUS = "onewire"  # several can share a pin, each named by its ROM

_READ_ROM = b"\x33"
_MATCH_ROM = b"\x55"
_SKIP_ROM = b"\xcc"
_CONVERT = b"\x44"
_READ_SCRATCHPAD = b"\xbe"
_KINDS = (0x28, 0x22)  # family codes, the first byte of a ROM
_POWER_UP = const(0x0550)


class DS18B20(Sensor):
    """The sensor whose ROM (8 bytes) is given, or the only one on `bus`.

    Raises ValueError for a ROM that is none.
    """

    # It may hang in water, where its steel tube follows by 5 degrees in 2 s.
    fields = (Field("temperature", "°C", 2, -5500, 12500, 500),)
    pace_ms = 2000  # it heats itself while it converts
    lead_ms = 750  # at 12 bits
    fresh_ms = 1900

    def __init__(self, bus, rom=None):
        if rom is not None and (len(rom) != 8 or rom[0] not in _KINDS or bus.crc8(rom)):
            raise ValueError("no ROM of a DS18B20")
        self._bus = bus
        self._rom = rom
        self._frame = bytearray(9)

    def start(self):
        """Begin a conversion. Raises SensorError: no-response when nobody is on the bus."""
        self._call(_SKIP_ROM)
        self._bus.write(_CONVERT)

    def read(self):
        """(temperature,) in hundredths of a degree C, by the last conversion.

        Raises SensorError: no-response; rom-checksum (there are several, and no ROM is given);
        wrong-kind; checksum; all-zero (the line is held low, and its zeros have the right
        checksum); power-up (it has not converted).
        """
        frame = self._frame
        self._call(_READ_ROM)
        if self._rom is None:
            # Several answer at once: what is read is where all have a 1, and has no checksum.
            rom = bytearray(8)
            self._bus.readinto(rom)
            if self._bus.crc8(rom):
                raise SensorError("rom-checksum")
            if any(rom) and rom[0] not in _KINDS:
                raise SensorError("wrong-kind")
        self._bus.write(_READ_SCRATCHPAD)
        self._bus.readinto(frame)
        if not any(frame):
            raise SensorError("all-zero")
        if min(frame) == 0xFF:
            raise SensorError("no-response")  # of the others on the bus none has this ROM
        if self._bus.crc8(frame):
            raise SensorError("checksum")
        raw = frame[1] << 8 | frame[0]
        # 85.0 is what the register holds until something is converted, and so after a supply that
        # dips at each conversion. Of a true one a reserved byte tells: 16 less the sixteenths (from
        # what the chips do; others' copies may be refused at 85.0 degrees, and at no other).
        if raw == _POWER_UP and frame[6] != 0x10:
            raise SensorError("power-up")
        if raw & 0x8000:
            raw -= 0x10000
        # What lies below the resolution is undefined: 9 to 12 bits, by the configuration.
        raw &= ~(7 >> (frame[4] >> 5 & 3))
        return ((raw * 25 + 2) // 4,)

    def _call(self, alone):
        """Reset the bus and address the sensor: by its ROM, or by the command `alone`."""
        if not self._bus.reset():
            raise SensorError("no-response")
        if self._rom is None:
            self._bus.write(alone)
        else:
            self._bus.write(_MATCH_ROM)
            self._bus.write(self._rom)


def sensor(machine, gpio, rom=None):
    """The sensor on `gpio`, whose ROM is given as 16 hex digits where there are several; the line
    needs a pull-up of 4.7 kOhm.
    """
    from onewire import OneWire

    return DS18B20(OneWire(machine.Pin(gpio)), rom and unhexlify(rom))
