"""Stands in for the chip's `machine`: what the node uses of it, and nothing else.

The sensors play captures (replay.py). Stricter than the chip: a DHT stays silent when it is asked
before its pace allows or within 1 s of power-up, which a real one may forgive; a pin must be a real
GPIO, no flash pin, and an output only where the ESP32 has one.

Kinder than the chip: a read takes no time, where the chip stands still for 270 ms.
"""

import errno
import os
from array import array

import laptop
from micropython import const
from replay import Replay

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_CAUSES = {
    "power-on": PWRON_RESET,
    "hard": HARD_RESET,
    "watchdog": WDT_RESET,
    "deep-sleep": DEEPSLEEP_RESET,
    "soft": SOFT_RESET,
    "brownout": PWRON_RESET,  # the ESP32 does not tell them apart either
}

_PACE_MS = const(2000)
_POWER_UP_MS = const(1000)
# Real milliseconds by which a request may be early: at a speed of 100 the laptop's own hiccups are
# seconds of the node's time.
_HICCUP_MS = const(20)

_INPUT_ONLY = const(34)  # from here to 39
_MISSING = (20, 24, 28, 29, 30, 31)
_FLASH = (6, 7, 8, 9, 10, 11)


class Pin:
    """A GPIO of an ESP32 that nothing but a sensor is wired to."""

    IN = 1
    OUT = 3

    def __init__(self, gpio, mode=IN, pull=None, value=0):
        if not 0 <= gpio <= 39 or gpio in _MISSING or gpio in _FLASH:
            raise ValueError("invalid pin")
        if mode != self.IN and gpio >= _INPUT_ONLY:
            raise ValueError("pin can only be input")
        self.gpio = gpio  # the chip's has no such thing: for who plays what is wired to it
        self._mode = mode
        self._value = 0
        if mode != self.IN:
            self.value(value)

    def value(self, level=None):
        """The level, 0 or 1, or set it; an input cannot be set."""
        if level is None:
            return self._value
        if self._mode == self.IN:
            raise ValueError("pin is an input")
        self._value = 1 if level else 0


class _Dht:
    """A DHT on the table, on a data line. Only a power-on finds it freshly powered as well."""

    def __init__(self, gpio):
        self._pace_ms, capture = _PACE_MS, laptop.capture
        if laptop.standing:
            self._pace_ms, capture = laptop.standing.dht(gpio)
        try:
            self._replay = Replay(capture)
        except ValueError as error:
            laptop.refuse("LIMPET_REPLAY: %s" % error)
        self._quiet_until = _POWER_UP_MS if reset_cause() == PWRON_RESET else 0
        self._gpio = gpio

    def answer(self, frame):
        now = laptop.clock.now()
        early = self._quiet_until - now
        self._quiet_until = max(self._quiet_until, now + self._pace_ms)
        if early > 0 and laptop.clock.real_ms(early) > _HICCUP_MS:
            raise OSError(errno.ETIMEDOUT)
        wanted = laptop.wants and laptop.wants.of(self._gpio)
        if wanted and wanted.get("unplugged"):
            raise OSError(errno.ETIMEDOUT)
        try:
            self._replay.answer(frame)
        except ValueError as error:
            laptop.refuse("LIMPET_REPLAY: %s" % error)
        if wanted:
            laptop.wants.dht(wanted, laptop.standing.plays(self._gpio)[0], frame)


class RTC:
    """Of the real one, the memory: a file in the node's folder, which a power-on finds empty."""

    _FILE = "rtc.memory"
    _SIZE = 2048

    def __init__(self):
        if reset_cause() == PWRON_RESET and not RTC._powered:
            RTC._powered = True
            try:
                os.remove(self._FILE)
            except OSError:
                pass  # nothing was kept

    _powered = False

    def memory(self, data=None):
        """What is kept (bytes), or keep `data`."""
        if data is None:
            try:
                with open(self._FILE, "rb") as file:
                    return file.read()
            except OSError:
                return b""
        if len(data) > self._SIZE:
            raise ValueError("buffer too long")
        with open(self._FILE, "wb") as file:
            file.write(data)
        return None


class WDT:
    """Ends the process with laptop.WATCHDOG_RESET when it is not fed in time, cannot be stopped.

    The time is real: the laptop's CPU does not get faster with the node's clock.
    """

    def __init__(self, id=0, timeout=5000):
        if id != 0 or timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._alarm = _Alarm(timeout)
        self.feed()

    def feed(self):
        """Start the time again."""
        self._alarm.start()


class _Alarm:
    """A timer of the operating system, because a hung interpreter cannot watch itself."""

    _ITIMER_REAL = 0
    _SIGALRM = 14  # Linux and macOS alike

    def __init__(self, timeout):
        import ffi

        libc = ffi.open(None)
        self._exit = libc.func("v", "_exit", "i")
        # Kept, because it must outlive this function. Locked, because it comes in the middle of
        # anything.
        self._handler = ffi.callback("v", self._bite, "i", lock=True)
        libc.func("p", "signal", "iC")(self._SIGALRM, self._handler)
        self._setitimer = libc.func("i", "setitimer", "ipp")
        # struct itimerval: no repetition, then seconds and microseconds, each a C long.
        self._time = array("l", (0, 0, timeout // 1000, timeout % 1000 * 1000))

    def start(self):
        if self._setitimer(self._ITIMER_REAL, self._time, None):
            raise OSError(errno.EINVAL)

    def _bite(self, signal):
        self._exit(laptop.WATCHDOG_RESET)


_dhts = {}


def dht_readinto(pin, buffer):
    """Put the next answer of the sensor on `pin` into `buffer`; OSError(ETIMEDOUT) when it stays
    silent, or there is none.
    """
    if not isinstance(pin, Pin):
        raise ValueError("expecting a pin")
    if len(buffer) < 5:
        raise ValueError("buffer too small")
    if pin.gpio not in _dhts:
        _dhts[pin.gpio] = _Dht(pin.gpio)
    _dhts[pin.gpio].answer(buffer)


def __getattr__(name):
    """What only some sensors want, loaded when it is asked for."""
    if name in ("ADC", "SoftI2C"):
        import wires

        return getattr(wires, name)
    raise AttributeError(name)


def reset_cause():
    """One of the constants above, by LIMPET_RESET."""
    try:
        return _CAUSES[laptop.reset_cause]
    except KeyError:
        laptop.refuse(
            "LIMPET_RESET=%s is none of %s" % (laptop.reset_cause, ", ".join(sorted(_CAUSES)))
        )


def reset():
    """A hard reset: `limpet node` starts the process again."""
    laptop.end(laptop.HARD_RESET)


def soft_reset():
    """A soft reset: the same, and reset_cause says so."""
    laptop.end(laptop.SOFT_RESET)
