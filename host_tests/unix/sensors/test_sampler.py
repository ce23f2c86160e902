"""node/readings/sampler.py: pace, schedule and what a failure does, over simulated time."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

# A sensor that keeps the times it was asked and is told when to fail; a loop that steps the
# sampler exactly when it wants to be called.
DESK = """
from dht22 import DHT22
from node.readings.sampler import Sampler
from sensing import SensorError

asked, readings, lines, alerts = [], [], [], []
fail = {}
now = 0

class Sensor(DHT22):
    # As it is to be asked; what it says is told here.
    def __init__(self):
        pass
    def read(self):
        asked.append(now)
        if len(asked) in fail:
            raise SensorError(fail[len(asked)])
        return 200 + len(asked) % 500, 500

def unix():
    return 1_800_000_000 + now // 1000

def said(*words):
    # As Alerts has it: what is so already is not said.
    if alerts[-1:] != [words]:
        alerts.append(words)

def log(area, line, *more):
    if len(lines) < 20 and line != "reading":
        lines.append(line)

class encode:
    words = staticmethod(lambda reading: "")

def new(interval_ms, known=True, unix=unix):
    class clock:
        pass
    clock.now, clock.unix = staticmethod(lambda: now), staticmethod(unix)
    s = Sampler((Sensor(),), 7, interval_ms, clock, (readings.append, said, log, encode))
    if known:
        # What the first values of a boot have to wait for is a test of its own.
        s._asked[0].known = 201, 500
    return s

def go(sampler, until):
    global now
    while True:
        if now >= sampler.due:
            sampler.run(now)
        if sampler.due > until:
            now = until
            return
        now = max(now, sampler.due)

"""


def sampled(script: str) -> str:
    """What `script` prints at the sampler's desk."""
    return run(DESK + script)


def test_first_reading_comes_a_second_after_start_then_one_each_interval() -> None:
    """Slots are start + 1 s + n intervals; a Reading has its number, times and values."""
    script = """
now = 5000
go(new(10000), 30000)
print(asked)
print(readings[0], readings[2].seq, readings[2].ts, readings[2].up)
"""
    assert sampled(script).splitlines() == [
        "[6000, 16000, 26000]",
        "Reading(boot=7, seq=0, ts=1800000006, up=6, values=(201, 500)) 2 1800000026 26",
    ]


def test_late_step_moves_no_later_reading() -> None:
    """A step that comes 700 ms late makes one Reading late; the next is on its slot again."""
    script = """
s = new(10000)
go(s, 9000)
now = 11700
go(s, 32000)
print(asked)
"""
    assert sampled(script) == "[1000, 11700, 21000, 31000]\n"


def test_stall_skips_slots_and_brings_no_burst() -> None:
    """After a stall over many slots there is one Reading, then the schedule goes on."""
    script = """
s = new(5000)
go(s, 10000)
now = 22500
go(s, 37000)
print(asked, [r.seq for r in readings])
"""
    # 11.0 and 16.0 are gone, and 22.5 stands for 21.0.
    assert sampled(script) == "[1000, 6000, 22500, 26000, 31000, 36000] [0, 1, 2, 3, 4, 5]\n"


def test_stall_makes_the_sensors_value_old() -> None:
    """After a stall of more than 20 s the value waiting in the sensor is thrown away first."""
    script = """
s = new(5000)
go(s, 10000)
now = 27500
go(s, 37000)
print(asked, [r.up for r in readings])
"""
    assert sampled(script) == "[1000, 6000, 27500, 29500, 31500, 36000] [1, 6, 29, 31, 36]\n"


def test_failure_is_retried_after_two_seconds_and_takes_no_number() -> None:
    """Failures are counted by reason, reported, and leave no gap in seq; the schedule stays."""
    script = """
fail.update({2: "no-response", 3: "checksum", 4: "no-response"})
s = new(10000)
go(s, 25000)
print(asked)
print(lines, sorted(s.errors.items()), s.reads, [r.seq for r in readings])
"""
    words = [f"error reason={each}" for each in ("no-response", "checksum", "no-response")]
    assert sampled(script).splitlines() == [
        "[1000, 11000, 13000, 15000, 17000, 21000]",
        f"{words} [('checksum', 1), ('no-response', 2)] 3 [0, 1, 2]",
    ]


def test_sensor_that_is_out_is_asked_every_two_seconds_and_no_faster() -> None:
    """A dead sensor costs one read per 2 s, whatever the interval."""
    script = """
fail.update({n: "no-response" for n in range(1000)})
s = new(2000)
go(s, 600000)
print(min(b - a for a, b in zip(asked, asked[1:])), len(asked), s.reads, readings)
"""
    assert sampled(script) == "2000 300 0 []\n"


def test_steps_more_often_than_needed_change_nothing() -> None:
    """Called every millisecond, the sampler asks at the same moments."""
    script = """
s = new(3000)
for now in range(0, 20000):
    s.run(now)
print(asked)
"""
    assert sampled(script) == "[1000, 4000, 7000, 10000, 13000, 16000, 19000]\n"


def test_long_interval_reads_twice_and_keeps_the_second() -> None:
    """Beyond 20 s the sensor's value is from long ago: it is asked 2 s ahead for nothing."""
    script = """
fail[2] = "no-response"
s = new(60000)
go(s, 130000)
print(asked)
print([(r.up, r.values[0]) for r in readings], s.errors)
"""
    # Requests 2 and 4 are thrown away, even where one fails.
    assert sampled(script).splitlines() == [
        "[1000, 59000, 61000, 119000, 121000]",
        "[(1, 201), (61, 203), (121, 205)] {}",
    ]


@pytest.mark.parametrize(
    ("asks_at", "times"),
    [
        # At once, as the last request was more than 2 s ago.
        (5000, "[1000, 5000, 11000, 21000]"),
        # Only 2 s after the last.
        (1500, "[1000, 3000, 11000, 21000]"),
        # Just before a slot: the slot's own waits its 2 s.
        (10500, "[1000, 10500, 12500, 21000]"),
        # Before the first Reading: that one answers.
        (0, "[1000, 11000, 21000]"),
    ],
)
def test_read_now_keeps_the_sensors_pace_and_the_schedule(asks_at: int, times: str) -> None:
    """A Reading on request comes as soon as the sensor allows, and moves no slot."""
    script = f"""
s = new(10000)
go(s, {asks_at})
s.read_now(now)
go(s, 22000)
print(asked)
"""
    assert sampled(script) == times + "\n"


def test_read_now_after_a_long_pause_is_fresh() -> None:
    """At long intervals a Reading on request throws the old value away first."""
    script = """
s = new(3600000)
go(s, 1800000)
s.read_now(now)
print(now >= s.due)
go(s, 1810000)
print(asked, [r.values[0] for r in readings])
"""
    assert sampled(script) == "True\n[1000, 1800000, 1802000] [201, 203]\n"


@pytest.mark.parametrize(
    ("interval_ms", "times"),
    [
        (4000, "[1000, 11000, 15000, 19000, 23000]"),
        # At the sensor's own pace nothing can be made up for: all are a second late from here.
        (2000, "[1000, 11000, 14000, 16000, 18000, 20000, 22000, 24000]"),
        (15000, "[1000, 11000, 26000]"),
    ],
)
def test_new_interval_counts_from_the_slot_before(interval_ms: int, times: str) -> None:
    """A shorter interval takes effect at once, a longer one after the slot before."""
    script = f"""
s = new(10000)
go(s, 14000)
class settings:
    interval_s = {interval_ms} // 1000
s.change(settings)
go(s, 24000 if {interval_ms} < 10000 else 30000)
print(asked, s.interval_ms)
"""
    assert sampled(script) == f"{times} {interval_ms}\n"


def test_unset_clock_gives_a_reading_without_time() -> None:
    """While the clock is not set, ts is None and `up` still tells when."""
    script = """
s = new(10000, unix=lambda: None)
go(s, 2000)
print(readings[0].ts, readings[0].up)
"""
    assert sampled(script) == "None 1\n"


def test_reading_survives_packing() -> None:
    """Every Reading comes back from its 20 bytes, extremes, a missing time and missing values
    included.
    """
    script = """
from node.shared.reading import Reading
from support.parts.layouts import SIZE, pack_into, unpack_from
import struct
store = bytearray(3 * SIZE)
for reading in (
    Reading(1, 0, None, 0, (-400, 0)),
    Reading(4294967295, 4294967295, 4294967295, 4294967295, (800, 1000)),
    Reading(7, 1042, 1780000000, 86400, (-1, 463)),
    Reading(7, 1043, 1780000010, 86410, (None, 463)),
    Reading(7, 1044, 1780000020, 86420, (-32767, 32767)),
):
    pack_into(store, SIZE, reading)
    print(unpack_from(store, SIZE) == reading, sum(store[:SIZE]) + sum(store[2 * SIZE:]))
print(SIZE == struct.calcsize("<IIIIhH"))
"""
    assert run(script) == "True 0\n" * 5 + "True\n"


FIELDS = """
from node.readings import batches
from node.readings.telemetry import Telemetry
from node.readings.layouts import layout, of
from node.shared.reading import Reading
from sensing import Field

class Clock:
    given_up = True
    def unix(self):
        return None

def payloads(layout, readings):
    made = Telemetry("base", 1, 7, Clock(), layout)
    size = made.size
    buffer = bytearray(size * len(readings))
    for index, each in enumerate(readings):
        made.pack_into(buffer, index * size, each)
        made.words(each)()
    for index in range(len(readings)):
        text = bytearray()
        made.write(text, buffer, index * size, 0)
        print(text.decode())
    text = bytearray()
    batches.write(text, made, buffer, len(readings), 0, False)
    print(text.decode())
"""


@pytest.mark.parametrize(
    ("number", "decimals", "text"),
    [
        *((244, 1, "24.4"), (-41, 1, "-4.1"), (-4, 1, "-0.4"), (0, 1, "0.0"), (1000, 1, "100.0")),
        *((3307, 3, "3.307"), (-3, 3, "-0.003"), (7, 0, "7"), (-7, 0, "-7"), (0, 0, "0")),
        *((-32767, 2, "-327.67"), (None, 1, "null"), (None, 0, "null"), (None, 3, "null")),
    ],
)
def test_values_are_written_with_the_places_of_their_field(
    number: int | None, decimals: int, text: str
) -> None:
    """Whole numbers become decimal text, the sign kept below one; alone, in batches, in words."""
    script = f"""
made = of((("x", {decimals}, "h"), ("y", 1, "h")))
payloads(made, [Reading(7, seq, 1780000000, 5, ({number}, 0)) for seq in (3, 4)])
"""
    alone = f'{{"v":1,"boot":7,"seq":%d,"ts":1780000000,"x":{text},"y":0.0}}'
    batch = f'{{"v":1,"boot":7,"seq":3,"ts":1780000000,"dt":0,"x":[{text},{text}],"y":[0.0,0.0]}}'
    said = [f"seq={seq} x={text} y=0.0" for seq in (3, 4)]
    assert run(FIELDS + script).splitlines() == [*said, alone % 3, alone % 4, batch]


def test_reading_has_what_its_fields_say() -> None:
    """As many values as fields, 16 bits of each where its range has room beside the number for
    None, else 32; null for one that failed, whatever the Reading before had; `up` without a time.
    """
    script = """
made = layout((
    Field("t", "", 2, -5000, 15000, 1),
    Field("p", "", 0, 0, 120000, 1),
    Field("u", "", 3, -32768, 0, 1),
    Field("x", "", 3, 0, 32768, 1),
    Field("z", "", 3, -32767, 32767, 1),
))
print(made[1])
payloads(made, [
    Reading(7, 0, 1780000000, 5, (2145, 101325, -1, None, 1)),
    Reading(7, 1, 1780000010, 5, (None, 120000, -32768, 32768, 1)),
    Reading(7, 2, 1780000020, 5, (-5000, None, 0, 32768, None)),
])
payloads(made, [Reading(7, seq, None, 5 + seq, (1, 2, None, 4, 5)) for seq in (0, 1)])
"""
    assert run(FIELDS + script).splitlines() == [
        "<IIIIhiiih",
        "seq=0 t=21.45 p=101325 u=-0.001 x=null z=0.001",
        "seq=1 t=null p=120000 u=-32.768 x=32.768 z=0.001",
        "seq=2 t=-50.00 p=null u=0.000 x=32.768 z=null",
        '{"v":1,"boot":7,"seq":0,"ts":1780000000,"t":21.45,"p":101325,"u":-0.001,"x":null,"z":0.001}',
        '{"v":1,"boot":7,"seq":1,"ts":1780000010,"t":null,"p":120000,"u":-32.768,"x":32.768,"z":0.001}',
        '{"v":1,"boot":7,"seq":2,"ts":1780000020,"t":-50.00,"p":null,"u":0.000,"x":32.768,"z":null}',
        '{"v":1,"boot":7,"seq":0,"ts":1780000000,"dt":10,"t":[21.45,null,-50.00],'
        '"p":[101325,120000,null],"u":[-0.001,-32.768,0.000],"x":[null,32.768,32.768],'
        '"z":[0.001,0.001,null]}',
        "seq=0 t=0.01 p=2 u=null x=0.004 z=0.005",
        "seq=1 t=0.01 p=2 u=null x=0.004 z=0.005",
        '{"v":1,"boot":7,"seq":0,"ts":null,"up":5,"t":0.01,"p":2,"u":null,"x":0.004,"z":0.005}',
        '{"v":1,"boot":7,"seq":1,"ts":null,"up":6,"t":0.01,"p":2,"u":null,"x":0.004,"z":0.005}',
        '{"v":1,"boot":7,"seq":0,"ts":null,"up":5,"dt":1,"t":[0.01,0.01],"p":[2,2],'
        '"u":[null,null],"x":[0.004,0.004],"z":[0.005,0.005]}',
    ]


@pytest.mark.parametrize(("interval_s", "asks"), [(3600, 2), (10, 1)])
def test_dead_sensor_is_asked_at_its_interval(interval_s: int, asks: int) -> None:
    """Once the alert is raised there is no hurry: a day has as many asks as slots, twice as many
    where the sensor's value would be old. Mended, it is read in the next slot; the alert is over.
    """
    script = f"""
class Dead:
    def __contains__(self, n):
        return dead
    def __getitem__(self, n):
        return "no-response"
fail = Dead()
dead = True
s = new({interval_s * 1000})
go(s, 60_000)
early, asked[:] = len(asked), []
go(s, 86_400_000)
print(early <= 10, len(asked) <= {86400 // interval_s * asks}, alerts)
s.read_now(now)
go(s, now + 1000)
print(s.reads, len(alerts))
dead = False
alerts[:] = []
go(s, now + {interval_s * 1000 + 5000})
print(s.reads >= 1, alerts)
"""
    raised = ("sensor-silent", True, ("reason", "no-response"))
    found = sampled(script).splitlines()
    assert found == [f"True True [{raised}]", "0 1", "True [('sensor-silent', False)]"]
