"""Which sensors stand on the laptop's table, where LIMPET_SENSORS says it; loaded only then.

    dht22,ds18b20:outdoor,sht4x:cellar=FILE       driver, its name if it has one, what it plays

Each gets pins of its own, as a Board would have them. `lines` is its SENSORS.
"""

import errno
import os

import laptop
from micropython import const

# Real milliseconds by which a request may be early: see machine.py.
_HICCUP_MS = const(20)

# By driver: the captures that come with the laptop, and the first pins that are free for one.
_ONE = (27, 25, 33, 32, 14, 13)
_TWO = ((22, 21), (18, 19), (16, 17))
_ADC = (35, 34)
_DIVIDER = (100, 47)  # kOhm, above and below the pin
_DRIVERS = {
    "dht22": (None, _ONE),
    "dht11": ("dht11_1mhz", _ONE),
    "ds18b20": ("ds18b20_made_up", _ONE),
    "sht3x": ("sht3x_made_up", _TWO),
    "sht4x": ("sht4x_made_up", _TWO),
    "supply": ("supply_made_up", _ADC),
}


_PACES_MS = {"dht22": 2000, "dht11": 1000}


def plays(gpio):
    """(driver, capture) of the sensor whose data line, the first of its pins, is on `gpio`; ("",
    None) where nothing is wired.
    """
    return _played.get(gpio, ("", None))


def called(gpio):
    """As LIMPET_SENSORS calls that sensor: driver, or driver:name."""
    return _called.get(gpio)


def dht(gpio):
    """(pace in ms, capture) of the DHT on `gpio`. Raises OSError(ETIMEDOUT) where there is none."""
    driver, capture = plays(gpio)
    if driver not in _PACES_MS:
        raise OSError(errno.ETIMEDOUT)
    return _PACES_MS[driver], capture


def early(until):
    """Whether it is too early for what is allowed from `until` (ms) on."""
    ms = until - laptop.clock.now()
    return ms > 0 and laptop.clock.real_ms(ms) > _HICCUP_MS


def refuse(error):
    """End, for a capture that is none."""
    laptop.refuse("LIMPET_SENSORS: %s" % error)


def _laid(text):
    """SENSORS; what plays at which data line: GPIO -> (driver, file); and what that is called."""
    sensors, played, names, taken = [], {}, {}, set()
    for each in text.split(","):
        head, _, path = each.partition("=")
        driver, _, name = head.partition(":")
        if driver not in _DRIVERS:
            laptop.refuse("LIMPET_SENSORS=%s: no sensor here is called %s" % (text, driver))
        own, places = _DRIVERS[driver]
        free = [place for place in places if place not in taken]
        if not free:
            laptop.refuse("LIMPET_SENSORS=%s: too many sensors of one kind" % text)
        taken.add(free[0])
        if own:
            path = path or "%s/captures/%s.jsonl" % (__file__.rsplit("/", 1)[0], own)
        gpio = free[0][0] if isinstance(free[0], tuple) else free[0]
        played[gpio] = (driver, path or laptop.capture)
        names[gpio] = head
        more = _DIVIDER if places is _ADC else ()
        sensors.append((driver, free[0], name) + more if name or more else (driver, free[0]))
    return tuple(sensors), played, names


lines, _played, _called = _laid(os.getenv("LIMPET_SENSORS") or "dht22")
