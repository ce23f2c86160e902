"""supervisor.py: when the watchdog is fed, and weeks without a broker in simulated time.

The parts around the Link are the real ones; the clock, Wi-Fi and the socket are not.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from limpet.node_host.umqtt import umqtt_dir
from support.micropython.upy import run

PARTS = """
from node.system.supervisor import Supervisor

class Clock:
    at = 0
    def now(self):
        return self.at
    def real_ms(self, ms):
        return ms
clock = Clock()

class Dog:
    fed = 0
    def feed(self):
        self.fed += 1
dog = Dog()

class Part:
    sources = ()
    def __init__(self):
        self.late = self.stopped = False
        self.wish = self.error = self.left = None
        self.due = self.runs = 0
    def run(self, now):
        self.runs += 1
        if self.error:
            raise self.error
        self.due = now + self.period
    period = 1000
    def overdue(self, now):
        return self.late
    def stop(self, now, reason):
        self.left = reason
        self.due = now
        self.stopped = self.obeys
    obeys = True
    def wait(self, ms):
        clock.at += ms
        script(clock.at)

class Recovery:
    def __init__(self):
        self.told = []
    def stuck(self, part):
        self.told.append((clock.at, part))
    def bug(self, now):
        self.told.append((now, "bug"))
recovery = Recovery()
lines = []
supervisor = Supervisor(clock, lambda *words: lines.append(words), recovery)
link, sampler, asked = Part(), Part(), Part()

def go():
    watched = (("sampler", sampler), ("link", link))
    return supervisor.run(link, link.wait, (sampler,), watched, dog, (asked,))

"""


def said(script: str) -> list[str]:
    """What `script` prints with such parts at hand."""
    return run(PARTS + script).splitlines()


@pytest.mark.parametrize("part", ["sampler", "link"])
def test_watchdog_is_fed_while_both_make_progress(part: str) -> None:
    """Not fed while either is overdue, and again when it is not; recovery hears of both, once."""
    script = f"""
fed = []
def script(now):
    fed.append(dog.fed)
    {part}.late = 3000 <= now < 6000
    asked.wish = "reboot" if now == 8000 else None
print(go(), fed)
print(recovery.told)
"""
    # One turn a second: the fourth, fifth and sixth are not fed.
    assert said(script) == [
        "reboot [1, 2, 3, 3, 3, 3, 4, 5, 6]",
        f"[(3000, '{part}'), (6000, None)]",
    ]


def test_bugs_are_counted_and_the_rest_goes_on() -> None:
    """What one part raises costs the others nothing; recovery is told, the exception is kept."""
    script = """
sampler.error = ValueError("one")
def script(now):
    if now == 3000:
        sampler.error = None
        asked.wish = "reboot"
print(go(), supervisor.bugs, repr(supervisor.last_bug), link.runs, dog.fed)
print(recovery.told)
"""
    shown = [line for line in said(script) if not line.startswith(("Traceback", "  File"))]
    assert shown == [
        *["ValueError: one"] * 3,
        "reboot 3 ValueError('one',) 4 4",
        "[(0, 'bug'), (1000, 'bug'), (2000, 'bug')]",
    ]


def test_link_that_does_not_leave_is_left() -> None:
    """10 s after it was told to leave, the node goes without it; the watchdog waits for that."""
    script = """
link.obeys = False
link.late = True
def script(now):
    asked.wish = "bugs"
print(go(), link.left, clock.at, dog.fed)
"""
    assert said(script) == ["bugs bugs 11000 11"]


@pytest.mark.parametrize(("period", "bugs"), [(0, 4), (-5000, 4), (1, 0)])
def test_part_that_is_due_again_at_once_is_a_bug(period: int, bugs: int) -> None:
    """One that does not move its due on keeps nobody awake: it is counted, and put off by a second,
    each time. A millisecond is enough.
    """
    script = f"""
sampler.period = {period}
def script(now):
    if now >= 3000:
        asked.wish = "reboot"
print(go(), supervisor.bugs, sampler.runs if supervisor.bugs else link.runs >= 3000)
"""
    shown = [line for line in said(script) if not line.startswith(("Traceback", "  File"))]
    assert [line.partition(" object")[0] for line in shown] == [
        *["RuntimeError: <Part"] * bugs,
        f"reboot {bugs} {bugs or True}",
    ]


def test_part_is_run_when_it_is_due_and_at_no_other_time() -> None:
    """Neither before nor because another one was; the Link looks whenever one of them was run."""
    script = """
class Slow(Part):
    period = 7000
slow, never = Slow(), Part()
never.due = None
link.period = 60000
supervisor_run = supervisor.run
def script(now):
    if now >= 20000:
        asked.wish = "reboot"
supervisor_run(link, link.wait, (slow, sampler, never), (), dog, (asked,))
print(slow.runs, sampler.runs, never.runs, link.runs)
"""
    assert said(script) == ["3 21 0 21"]


def test_broker_that_never_stops_talking_starves_nobody() -> None:
    """Its turns are the Link's alone; the watchdog and the wishes have theirs every 10 s."""
    script = """
link.period = sampler.period = 60000
def chatter(ms):
    clock.at += min(ms, 100)
    asked.due = None
    if clock.at >= 25000:
        asked.wish = "reboot"
    return True
watched = (("sampler", sampler), ("link", link))
print(supervisor.run(link, chatter, (sampler, asked), watched, dog, (asked,)), clock.at)
print(sampler.runs, link.runs, dog.fed)
"""
    assert said(script) == ["reboot 30000", "1 301 4"]


@pytest.mark.parametrize("obeys", [True, False])
def test_sources_are_saved_whichever_way_the_node_leaves(obeys: bool) -> None:
    """Each of them, once, also where one has a bug and where the Link does not leave."""
    script = f"""
class Source:
    saved = 0
    due = None
    def save(self):
        self.saved += 1
        if self is first:
            raise ValueError("a bug")
first, second = Source(), Source()
link.sources = (first, second)
link.obeys = {obeys}
def script(now):
    asked.wish = "bugs"
print(go(), first.saved, second.saved, supervisor.bugs)
"""
    assert said(script)[-1] == "bugs 1 1 1"


# --- weeks --------------------------------------------------------------------------------------

WEEKS = """
import json
import umqtt_tls
from backoff import Backoff
from device.clock import Clock
from node.system.crashes import Crashes
from node.shared.rtc_state import RtcState
from node.system.recovery import Recovery
from node.session.causes import FLOORS_MS
from node.session.link import Link
from dht22 import DHT22
from node.readings.sampler import Sampler
from node.reporting.status import Status
from node.system.supervisor import Supervisor

DAY = 86400000
PERIOD = 1 << 30

class Time:  # as on the ESP32: ticks wrap, and tell a past from a future of 6.2 days at most
    real = 0
    def ticks_ms(self):
        return (self.real + PERIOD - 5000) % PERIOD
    def ticks_diff(self, a, b):
        return (a - b + PERIOD // 2) % PERIOD - PERIOD // 2
    def time(self):
        return 1780000000 + self.real // 1000
    def gmtime(self, seconds):
        return (1970, 1, 1, 0, 0, 0, 3, 1)

class Deaf:  # in the place of the socket
    addresses = ()
    cause = None
    def resolve(self, host, port):
        self.cause = cause if cause == "dns" else None
    def open(self):
        pass
    def opened(self):
        self.cause = cause if cause != "tcp-timeout" else None
    def close(self):
        self.cause = None
    def wait(self, ms, to_write=False):
        chip.real += max(ms, LEAST)
        if chip.real > DAYS * DAY:
            raise KeyboardInterrupt
        return False

class Air:
    cause = None if there else "no-ap"
    rejoined = 0
    due = None
    def run(self, now):
        self.due = None
    def rejoin(self, now):
        self.rejoined += 1

class Dog:
    hungry = 0
    fed_at = 0
    def feed(self):
        self.hungry = max(self.hungry, chip.real - self.fed_at)
        self.fed_at = chip.real

umqtt_tls.Transport = Deaf
chip, air, dog, lines, writes = Time(), Air(), Dog(), [], []
clock = Clock(source=chip)
class Board:
    clock = clock
    network = air
    idf_heap = staticmethod(lambda: None)
log = lambda *words: lines.append(words) if words[0] not in ("link", "wifi") else None
rtc_state = RtcState(b"", lambda data: None)
crashes = Crashes("x", lambda path: None, lambda *more: writes.append(more), rtc_state)
crashes.begin("power-on")
client = umqtt_tls.MQTTClient("node-1", "127.0.0.1")
status = Status("o/s/z/t/node-1", 1, clock.now, ())
backoff = Backoff(lambda: 0.5, floors_ms=FLOORS_MS)
recovery = Recovery(air, rtc_state, crashes, backoff, log)
downs = recovery.downs
link = LINK
def nothing(*_):
    pass
def always(pin, buffer):
    buffer[:] = b"\\x02\\x8c\\x01\\x5f\\xee"
sensors = (DHT22(None, always),)
class encode:
    words = staticmethod(nothing)
sampler = Sampler(sensors, 1, DAY // 24, clock, (nothing, nothing, nothing, encode))
supervisor = Supervisor(clock, log, recovery)
watched = (("sampler", sampler), ("link", link))
reason = supervisor.run(
    link, client.wait, (sampler, crashes, recovery), watched, dog, (crashes, recovery))
outage = {}
status.up = lambda now, said: outage.update(said or {})
client.handshake_took_ms = 1
client.state = "up"
link.on_up(False)
print(json.dumps({
    "reason": reason, "days": clock.now() // DAY, "downs": downs, "rejoins": air.rejoined,
    "hungry": dog.hungry, "reads": sampler.reads, "bugs": supervisor.bugs, "outage": outage,
    "lines": [line for line in lines if "rejoin" not in line[1]], "writes": len(writes),
}))
"""


def weeks(cause: str, there: bool, days: int, least_ms: int) -> dict[str, Any]:
    """What becomes of a node that gets nowhere for `days`; `least_ms` is how long it sleeps."""
    link = "Link(client, Board, (status,), recovery, log)"
    head = f"cause, there, DAYS, LEAST = {cause!r}, {there}, {days}, {least_ms}\n"
    text = run(head + WEEKS.replace("= LINK", "= " + link), path=[umqtt_dir()])
    result: dict[str, Any] = json.loads(text)
    # Nothing is reset, flash is left alone, nothing starves and no Reading is missed.
    assert (result["reason"], result["days"]) == ("shutdown", days)
    assert result["lines"] == []
    assert result["bugs"] == result["writes"] == 0
    assert result["hungry"] <= 60_000
    assert result["reads"] == pytest.approx(24 * days, abs=2)
    return result


@pytest.mark.parametrize(
    ("cause", "days", "try_s"), [("tcp-timeout", 13, 50), ("dns", 3, 30), ("tcp-refused", 3, 30)]
)
def test_weeks_without_a_broker(cause: str, days: int, try_s: int) -> None:
    """Over 13 days, more than ticks can count, no reset; the outage is told to the minute.

    Wi-Fi is joined anew, once an hour in the end, where nobody answers; where somebody does, never.
    """
    result = weeks(cause, True, days, 0)
    assert result["downs"] == {cause: pytest.approx(86400 * days / try_s, rel=0.05)}
    assert result["outage"]["s"] == pytest.approx(days * 86400, abs=120)
    assert result["outage"]["cause"] == cause
    silent = cause != "tcp-refused"
    assert result["rejoins"] == (pytest.approx(24 * days, abs=days) if silent else 0)
    assert result["outage"].get("rejoins", 0) == result["rejoins"]


def test_weeks_without_an_access_point() -> None:
    """An access point that is gone is no failure of the Link's, and nothing to be reset for."""
    result = weeks("", False, 13, 15_000)
    assert (result["downs"], result["rejoins"]) == ({}, 0)
