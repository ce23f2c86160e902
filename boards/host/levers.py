"""What somebody at the levers of `limpet run` wants of the sensors on the table; loaded only where
LIMPET_LEVERS names the file that says it.

    {"dht22": {"temperature": 215}, "ds18b20:outdoor": {"unplugged": true}}

A sensor is called as LIMPET_SENSORS calls it. A value is a whole number, as its driver gives it:
tenths or hundredths. It is put into what the capture has, in the sensor's own form and with its
checksum, which `bad_checksums` spoils; what nobody wants is as it was captured.

The file is looked at before each answer, and read where its size or time is another. One that is
none is told of, and followed no more than none at all.
"""

import json
import os

import table
from micropython import const

_LONGEST = const(4096)

_path = os.getenv("LIMPET_LEVERS")
_seen = None
_wanted = {}


def of(gpio):
    """What is wanted of the sensor whose data line is on `gpio`: a dict, empty where that is
    nothing.
    """
    global _seen, _wanted
    try:
        stat = os.stat(_path)
        seen = stat[6], stat[8]
    except OSError:
        seen = None
    if seen != _seen:
        _seen, _wanted = seen, {}
        try:
            _wanted = _read() if seen else {}
        except (OSError, ValueError) as error:
            print("LIMPET_LEVERS: %s is not followed: %s" % (_path, error))
    return _wanted.get(table.called(gpio), {})


def _read():
    with open(_path) as file:
        text = file.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise ValueError("it is longer than %d" % _LONGEST)
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    for wanted in found.values():
        if not isinstance(wanted, dict):
            raise ValueError("what is wanted of a sensor is an object")
        for value in wanted.values():
            if not isinstance(value, (int, bool)) or not -0x8000 < value < 0x8000:
                raise ValueError("a value is true, false, or a whole number that a sensor can say")
    return found


def dht(wanted, driver, frame):
    """Put it into a DHT's `frame`, a bytearray of 5."""
    warm, wet = wanted.get("temperature"), wanted.get("humidity")
    each = 256 if driver == "dht22" else 10  # two bytes are one number, or whole ones and tenths
    if wet is not None:
        frame[0], frame[1] = divmod(wet, each)
    if warm is not None:
        frame[2], frame[3] = divmod(abs(warm), each)
        if warm < 0:
            frame[2 if driver == "dht22" else 3] |= 0x80
    if not (wet is warm is None):
        frame[4] = sum(frame[:4]) & 0xFF
    if wanted.get("bad_checksums"):
        frame[4] ^= 0xFF


def ds18b20(wanted, pad, crc8):
    """The scratchpad (bytes of 9) with it; `crc8` gives the last byte for those before it."""
    pad, warm = bytearray(pad), wanted.get("temperature")
    if warm is not None:
        raw = (warm * 16 + 50) // 100
        pad[0], pad[1] = raw & 0xFF, raw >> 8 & 0xFF
        pad[6] = 16 - (raw & 15)  # reserved; by it 85.0 degrees are told from a power-up
        pad[8] = crc8(pad[:8])
    if wanted.get("bad_checksums"):
        pad[8] ^= 0xFF
    return bytes(pad)


def sht(wanted, driver, answer):
    """The answer of an SHT (bytes of 6) with it: of -45 to 130 degrees, and of 0 to 100 % or, an
    SHT4x, -6 to 119 %, each value is so much of 65535.
    """
    answer, warm, wet = bytearray(answer), wanted.get("temperature"), wanted.get("humidity")
    if warm is not None:
        _word(answer, 0, warm + 4500, 17500)
    if wet is not None:
        _word(answer, 3, *((wet + 600, 12500) if driver == "sht4x" else (wet, 10000)))
    if wanted.get("bad_checksums"):
        answer[2] ^= 0xFF
        answer[5] ^= 0xFF
    return bytes(answer)


def _word(answer, at, value, full):
    raw = min(max((value * 65535 + full // 2) // full, 0), 65535)
    crc = 0xFF
    for index, byte in enumerate((raw >> 8, raw & 0xFF)):
        answer[at + index] = byte
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ (0x131 if crc & 0x80 else 0)
    answer[at + 2] = crc
