"""node/readings/sampler.py with several sensors, of other kinds, and of those that misbehave."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

DESK = """
from sensing import SensorError
from support.sensors.desk import Desk, Time, Told

time = Time()
T = ("temperature", "°C", 1, -400, 800, 20)
H = ("humidity", "%", 1, 0, 1000, 100)
OUT = ("outdoor_temperature", "°C", 2, -5500, 12500, 500)

def dht(*script):
    says = dict(fresh_ms=20500, lead_ms=2000, warm_up_ms=1000)
    return Told(time, (T, H), script, **says)

def probe(*script, name="outdoor"):
    return Told(time, (OUT,), script, name, lead_ms=750, fresh_ms=1900)

def quiet():
    return SensorError("no-response")

def values(reading):
    return reading.values

"""
GOOD = "(200, 500)"


def said(script: str) -> list[str]:
    """What `script` prints at the desk, by lines."""
    return run(DESK + script).splitlines()


def test_reading_is_one_moment_of_all_sensors() -> None:
    """One Reading for each slot, of all fields in their order; a conversion begins ahead of it."""
    script = """
a, b = dht((200, 500)), probe((-500,))
desk = Desk(time, (a, b))
go = desk.go(35_000)
print([r.up for r in desk.readings], {values(r) for r in desk.readings}, desk.sampler.errors)
print(a.asked)
print(b.started)
print(b.asked)
"""
    assert said(script) == [
        "[3, 11, 21, 31] {(200, 500, -500)} {}",
        # The first values of a boot are asked about again.
        "[1000, 3000, 11000, 21000, 31000]",
        "[250, 2250, 10250, 20250, 30250]",
        # A turn later, which is due a ms later: see shared/message.py.
        "[1001, 3001, 11001, 21001, 31001]",
    ]


def test_each_step_asks_one_sensor() -> None:
    """A read may hold the CPU for 270 ms, so that two of them are two steps."""
    script = """
sensors = [dht((200, 500)), dht((200, 500))]
desk = Desk(time, sensors)
desk.go(500)
time.at = 1000
for _ in range(3):
    desk.sampler.run(1000)
    print([len(each.asked) for each in sensors], desk.sampler.due)
"""
    assert said(script) == ["[1, 0] 1001", "[1, 1] 3000", "[1, 1] 3000"]


@pytest.mark.parametrize(
    ("script", "up", "values", "errors"),
    [
        # Asked once more at its pace, and there: the Reading is that much later, and whole.
        ([GOOD, GOOD, "quiet()", GOOD], 11, (200, 500, -500), {"no-response": 1}),
        # Not there: what there is goes out.
        ([GOOD, GOOD, "quiet()", "quiet()", GOOD], 11, (None, None, -500), {"no-response": 2}),
    ],
)
def test_what_failed_is_null_and_the_others_go_out(
    script: list[str], up: int, values: tuple[int | None, ...], errors: dict[str, int]
) -> None:
    """A sensor that fails is asked once more; its moment is the others'."""
    found = said(f"""
a, b = dht({", ".join(script)}), probe((-500,))
desk = Desk(time, (a, b))
desk.go(12_999)
print(len(desk.readings))
desk.go(23_000)
print([r.up for r in desk.readings[1:]], values(desk.readings[1]), desk.sampler.errors)
print([r.seq for r in desk.readings], desk.alerts)
""")
    assert found == ["1", f"[{up}, 21] {values} {errors}", "[0, 1, 2] []"]


def test_failures_of_a_sensor_with_a_name_bear_it() -> None:
    """In the counters, in the log, and in the alert; the other one's are its own."""
    script = """
a, b = dht((200, 500), (200, 500), quiet(), (200, 500)), probe((1,), (1,), quiet())
desk = Desk(time, (a, b))
desk.go(35_000)
print(sorted(desk.sampler.errors.items()))
print(sorted({line for line, in desk.lines}))
print(desk.alerts)
b.script = [(2,)]
desk.go(60_000)
print(desk.alerts[1:], values(desk.readings[-1]))
"""
    assert said(script) == [
        "[('no-response', 1), ('outdoor:no-response', 5)]",
        "['error reason=no-response', 'error reason=outdoor:no-response']",
        "[('outdoor-sensor-silent', True, ('reason', 'no-response'))]",
        "[('outdoor-sensor-silent', False)] (200, 500, 2)",
    ]


def test_dead_sensor_holds_no_other_up() -> None:
    """After five failures in a row it is asked once in each slot, and nothing waits for it."""
    script = """
a, b = dht((200, 500)), probe(quiet())
desk = Desk(time, (a, b))
desk.go(200_000)
print([r.up for r in desk.readings][:8])
print({values(r) for r in desk.readings}, len(b.asked))
"""
    # Two tries in each slot, until it counts as dead at the fifth: 1, 3; 11, 13; 21; 31, ...
    assert said(script) == ["[3, 11, 21, 31, 41, 51, 61, 71]", "{(200, 500, None)} 22"]


def test_all_that_fails_is_no_reading_and_takes_no_number() -> None:
    """It is tried again at the pace until five in a row have failed, then at the interval."""
    script = """
a = dht(*[quiet()] * 9 + [(200, 500)])
desk = Desk(time, (a,))
desk.go(70_000)
print(a.asked)
print([(r.seq, r.up) for r in desk.readings], desk.alerts)
"""
    assert said(script) == [
        # Alive again at 51, it is asked about what it says.
        "[1000, 3000, 5000, 7000, 9000, 11000, 21000, 31000, 41000, 51000, 53000, 61000]",
        "[(0, 53), (1, 61)] [('sensor-silent', True, ('reason', 'no-response')),"
        " ('sensor-silent', False)]",
    ]


def test_fifth_failure_in_a_row_is_silence() -> None:
    """Four wake nobody, however often; a read in between starts the count again. The fifth has its
    reason, and each of them a line in the log.
    """
    script = """
four = [quiet()] * 4 + [(200, 500)]
a = dht(*[(200, 500)] * 2 + four * 10 + [quiet()] * 4 + [SensorError("checksum"), (200, 500)])
desk = Desk(time, (a,))
desk.go(110_500)
print(len(desk.alerts), desk.sampler.errors["no-response"] >= 40)
desk.go(200_000)
print(desk.alerts, len(desk.lines), sum(desk.sampler.errors.values()))
"""
    raised = ("sensor-silent", True, ("reason", "checksum"))
    assert said(script) == ["0 True", f"[{raised}, ('sensor-silent', False)] 45 45"]


@pytest.mark.parametrize(
    ("says", "reason"),
    [
        ("SensorError('checksum')", "checksum"),
        ("SensorError()", "unnamed"),
        ("SensorError(7)", "7"),
        ("ValueError('no idea')", "ValueError"),
        ("OSError(116)", "OSError"),
        ("ZeroDivisionError()", "ZeroDivisionError"),
        ("None", "TypeError"),
        ("21", "TypeError"),
        ("()", "shape"),
        ("(200,)", "shape"),
        ("(200, 500, 1)", "shape"),
        ("'ab'", "shape"),
        ("[200, 500]", "shape"),
        ("b'23'", "shape"),
        ("{200: 1, 500: 2}", "shape"),
        ("(200, None)", "shape"),
        ("(200, 50.0)", "shape"),
        ("(200, True)", "shape"),
        ("(200, '5')", "shape"),
        ("(801, 500)", "out-of-range"),
        ("(200, -1)", "out-of-range"),
        ("(1 << 40, 500)", "out-of-range"),
    ],
)
def test_whatever_a_sensor_does_wrong_is_counted_by_a_name(says: str, reason: str) -> None:
    """It raises anything, hands out another shape, no whole numbers, or what it does not declare:
    a count, a line in the log, null, and no bug.
    """
    found = said(f"""
a, b = dht((200, 500), (200, 500), {says}, {says}, (200, 500)), probe((1,))
desk = Desk(time, (a, b))
desk.go(25_000)
print([values(r) for r in desk.readings])
print(desk.sampler.errors, len(desk.lines), desk.lines[0][0])
""")
    assert found == [
        "[(200, 500, 1), (None, None, 1), (200, 500, 1)]",
        f"{{'{reason}': 2}} 2 error reason={reason}",
    ]


def test_log_tells_what_a_driver_raised() -> None:
    """Its words, which no counter has room for."""
    script = """
desk = Desk(time, (dht(ValueError("no idea")),))
desk.go(1_500)
print(*desk.lines[0])
"""
    assert said(script) == ["error reason=ValueError no idea"]


def test_start_that_fails_is_a_try() -> None:
    """What was not begun is not read: that would hand out an old value as if it were new."""
    script = """
a = probe((1,), name="")
desk = Desk(time, (a,))
desk.go(5_000)
a.fails_to_start = quiet()
asked = len(a.asked)
desk.go(22_000)
print(len(a.asked) - asked, desk.sampler.errors, a.started[2:])
a.fails_to_start = OSError(5)
desk.go(32_000)
print(sorted(desk.sampler.errors.items()), desk.alerts)
"""
    assert said(script) == [
        "0 {'no-response': 6} [10000, 12000, 14000, 16000, 18000, 20000]",
        "[('OSError', 1), ('no-response', 6)] [('sensor-silent', True, ('reason', 'no-response'))]",
    ]


def test_reasons_have_no_end_but_their_counters_have() -> None:
    """A driver that makes a new word each time fills no heap: the rest is `other`."""
    script = """
desk = Desk(time, (dht(*[SensorError("r%d" % n) for n in range(40)]),))
desk.go(400_000)
print(len(desk.sampler.errors), desk.sampler.errors["other"], len(desk.lines))
"""
    found = said(script)[0].split()
    assert found[0] == "17"
    assert int(found[1]) == int(found[2]) - 16


@pytest.mark.parametrize("raised", ["MemoryError()", "SystemExit()", "GeneratorExit()"])
def test_driver_that_always_raises_holds_no_other_up(raised: str) -> None:
    """Whatever it is: neither is it asked for ever, nor does it end the node; it is soon silent."""
    script = f"""
a, b = dht((200, 500)), probe({raised})
desk = Desk(time, (a, b))
desk.go(65_000)
print([r.up for r in desk.readings], {{values(r) for r in desk.readings}}, len(b.asked))
print(desk.sampler.errors, desk.alerts)
"""
    name = raised[:-2]
    assert said(script) == [
        "[3, 11, 21, 31, 41, 51, 61] {(200, 500, None)} 9",
        f"{{'outdoor:{name}': 9}} [('outdoor-sensor-silent', True, ('reason', '{name}'))]",
    ]


def test_ctrl_c_is_no_failure_of_a_sensor() -> None:
    """It is for whoever sits at the console, at whatever moment."""
    script = """
desk = Desk(time, (dht(KeyboardInterrupt()),))
try:
    desk.go(30_000)
except KeyboardInterrupt:
    print(time.at, desk.sampler.errors)
"""
    assert said(script) == ["1000 {}"]


@pytest.mark.parametrize("slow", ["start", "read"])
def test_driver_that_is_slower_than_fresh_holds_no_other_up(slow: str) -> None:
    """What it measured is old before it can be read: that is a failure, and not begun for ever."""
    script = f"""
class Slow(Told):
    def {slow}(self):
        said = Told.{slow}(self)
        time.at += 3000
        return said

a = dht((200, 500))
b = Slow(time, (OUT,), ((1,),), "outdoor", lead_ms=750, fresh_ms=1900)
desk = Desk(time, (a, b))
desk.go(100_000)
print(len(desk.readings) > 5, {{values(r) for r in desk.readings}}, len(b.started) < 30)
print(sorted(desk.sampler.errors), [each[:2] for each in desk.alerts])
"""
    expected = {
        "start": ["(200, 500, None)", "['outdoor:stale'] [('outdoor-sensor-silent', True)]"],
        # What is slow to be read was fresh when that began.
        "read": ["(200, 500, 1)", "[] []"],
    }
    assert said(script) == [f"True {{{expected[slow][0]}}} True", expected[slow][1]]


@pytest.mark.parametrize(
    "reason",
    [
        *("'two words'", "'a\\nnode up'", "'\\x1b[2J'", "'x' * 25", "'é'", "''"),
        *("1 << 90", "None", "[1]", "b'checksum'", "'outdoor:x'"),
    ],
)
def test_reason_that_is_no_word_is_unnamed(reason: str) -> None:
    """It would be a line of the log by itself, or a counter without an end."""
    script = f"""
desk = Desk(time, (dht(SensorError({reason}, 1, 2, 3)),))
desk.go(9_500)
print(desk.sampler.errors, {{line[0] for line in desk.lines}}, desk.alerts)
"""
    alerts = "[('sensor-silent', True, ('reason', 'unnamed'))]"
    assert said(script) == [f"{{'unnamed': 5}} {{'error reason=unnamed'}} {alerts}"]


def test_what_an_exception_says_is_one_short_line() -> None:
    """It is logged so that a driver's bug is found, and ends up in no line of its own."""
    script = """
class Rude(Exception):
    def __str__(self):
        raise ValueError("no")

for each in ValueError("one\\n5.000 node bug"), ValueError("x" * 1000), Rude():
    desk = Desk(time, (dht(each),))
    desk.go(time.at + 1_500)
    print(len(desk.lines), len(desk.lines[0][1]) < 101, desk.lines[0][1][:40])
"""
    assert said(script) == [
        "1 True one\\n5.000 node bug",
        f"1 True {'x' * 40}",
        "1 True ?",
    ]


def test_slowest_sensor_sets_the_least_interval() -> None:
    """Of what the config says, and of what is set later."""
    script = """
a = Told(time, (T,), [(200,)], pace_ms=5000, fresh_ms=20000, lead_ms=5000)
desk = Desk(time, (dht((200, 500)), a), 2000)
print(desk.sampler.pace_ms, desk.sampler.interval_ms)
desk.sampler.change(type("S", (), {"interval_s": 7}))
desk.sampler.change(type("S", (), {"interval_s": 3}))
print(desk.sampler.interval_ms)
desk.go(60_000)
ups = [r.up for r in desk.readings]
print({later - up for up, later in zip(ups[1:], ups[2:])})
"""
    assert said(script) == ["5000 5000", "5000", "{5}"]


def test_late_loop_reads_nothing_that_has_grown_old() -> None:
    """A conversion that a stall has left lying is begun anew; nothing is asked too soon."""
    script = """
a = probe((1,), name="")
desk = Desk(time, (a,))
desk.go(10_250)
time.at = 14_000
desk.sampler.run(time.at)
desk.go(25_000)
print(a.started[2:], a.asked[2:])
"""
    assert said(script) == ["[10000, 14000, 20000] [14750, 20750]"]
