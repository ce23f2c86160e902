"""device/clock.py: `now` against wrapping ticks and stepping wall clocks, Unix time, speed, NTP."""

from __future__ import annotations

from upy import run

# Stands in for the module `time`, wrapping where the ESP32's ticks do. The chip's epoch is 2000.
CHIP = """
from device.clock import EARLIEST, Clock

PERIOD = 1 << 30
FROM_2000 = 946684800

class Chip:
    def __init__(self, epoch=2000):
        self.real = 0
        self.epoch = epoch
        self.wall = 0 if epoch == 2000 else FROM_2000

    def pass_ms(self, ms):
        self.real += ms
        self.wall += ms / 1000

    def ticks_ms(self):
        return (self.real + PERIOD - 5000) % PERIOD

    def ticks_diff(self, a, b):
        return (a - b + PERIOD // 2) % PERIOD - PERIOD // 2

    def time(self):
        return int(self.wall)

    def gmtime(self, s):
        return (self.epoch, 1, 1, 0, 0, 0, 0, 1)

    def set(self, unix):
        self.wall = unix - (FROM_2000 if self.epoch == 2000 else 0)

chip = Chip()
"""


def test_now_counts_on_over_the_wrap_of_ticks() -> None:
    """Over 60 days, visited every 3, `now` is what has passed; ticks wrap every 12.4 days."""
    script = """
clock = Clock(source=chip)
for _ in range(20):
    chip.pass_ms(3 * 86400 * 1000)
    clock.now()
print(clock.now() == chip.real == 60 * 86400 * 1000)
"""
    assert run(CHIP + script) == "True\n"


def test_step_of_the_wall_clock_moves_no_now() -> None:
    """Years forward and back change Unix time, and `now` not by a millisecond."""
    script = """
clock = Clock(source=chip)
for unix in (1_800_000_000, 0x7FFFFFFF, 1_700_000_000, 1_800_000_000):
    chip.set(unix)
    chip.pass_ms(1)
    print(clock.now(), clock.unix())
"""
    # 1.7e9 is before the firmware was written.
    assert run(CHIP + script) == "1 1800000000\n2 2147483647\n3 None\n4 1800000000\n"


def test_unix_time_is_the_same_from_either_epoch() -> None:
    """Chips that count from 2000 and from 1970 agree, and so does the interpreter."""
    script = """
for epoch in (2000, 1970):
    chip = Chip(epoch)
    clock = Clock(source=chip)
    print(clock.unix())
    chip.set(EARLIEST - 1)
    print(clock.unix())
    chip.set(EARLIEST)
    print(clock.unix() == EARLIEST)
import time
print(abs(Clock().unix() - time.time()) <= 1)
"""
    assert run(CHIP + script) == "None\nNone\nTrue\n" * 2 + "True\n"


def test_speed_holds_for_both_times_and_for_waiting() -> None:
    """At speed 20, one real second is 20 s of `now` and of Unix time, and waiting is a 20th."""
    script = """
chip.set(1_800_000_000)
clock = Clock(20, source=chip)
chip.pass_ms(1000)
print(clock.now(), clock.unix())
print(clock.real_ms(1000), clock.real_ms(1), clock.real_ms(0), clock.real_ms(41))
half = Clock(0.5, source=chip)
chip.pass_ms(10)
print(half.now(), half.real_ms(10), Clock(source=chip).real_ms(7))
"""
    assert run(CHIP + script) == "20000 1800000020\n50 1 0 3\n5 20 7\n"


def test_speed_of_nothing_is_refused() -> None:
    """A speed of 0 or less is a ValueError."""
    script = """
for speed in (0, -1):
    try:
        Clock(speed, source=chip)
        print("accepted")
    except ValueError:
        print("refused")
"""
    assert run(CHIP + script) == "refused\nrefused\n"


def test_sync_asks_at_its_pace_and_says_whether_the_clock_is_set() -> None:
    """Called every second: it asks again 15 s after a failure and a day after a success."""
    script = """
asked = []
answers = [OSError(110), ValueError("short"), None, None]

def fetch():
    asked.append(chip.real // 1000)
    answer = answers.pop(0)
    if answer:
        raise answer
    chip.set(1_800_000_000)

clock = Clock(fetch=fetch, source=chip)
unset = 0
for _ in range(100_000):
    unset += not clock.sync()
    chip.pass_ms(1000)
print(asked, unset)
print(Clock(source=chip).sync(), len(asked))
"""
    assert run(CHIP + script) == "[0, 15, 30, 86430] 30\nTrue 4\n"


def test_sync_lets_a_mistake_through() -> None:
    """What is neither the network's nor the server's fault is a bug, and is not swallowed."""
    script = """
def fetch():
    raise AttributeError("no such thing")
try:
    Clock(fetch=fetch, source=chip).sync()
except AttributeError as error:
    print(error)
"""
    assert run(CHIP + script) == "no such thing\n"


def test_ntp_is_asked_with_a_short_time_out() -> None:
    """The frozen ntptime gets a time-out of 1 s before it is asked."""
    script = """
import sys
class ntptime:
    timeout = 5
    @classmethod
    def settime(cls):
        print("settime", cls.timeout)
sys.modules["ntptime"] = ntptime
from device.clock import ask_ntp
ask_ntp()
"""
    assert run(script) == "settime 1\n"
