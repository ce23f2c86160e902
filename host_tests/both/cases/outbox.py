"""Cases of node/{outbox,backlog,telemetry}.py: what goes out, when, and in what form.

The log is a list here; the real one has its own tests, and test_power_cuts.py joins them.
"""

import json

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from node.readings.backlog import Backlog
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.shared.reading import Reading
from ring import Ring
from support.parts.backlogs import backlog, fresh_rtc_state
from support.parts.due import peeked, run_due
from support.parts.layouts import LAYOUT, SIZE, pack_into
from support.parts.records import Log

BOOT = 7
T0 = 1780000000


class Clock:
    """One that tells what `unix` does, and has not given up."""

    given_up = False

    def __init__(self, unix: object) -> None:
        self.unix = unix


def reading(seq: int, ts: object = None, up: object = None, boot: int = BOOT) -> Reading:
    """Make the Reading `seq`, taken 10 s after the one before."""
    when = T0 + 10 * seq if ts is None else ts
    return Reading(boot, seq, when or None, 10 * seq if up is None else up, (244 + seq, 463))


def outbox(
    commit_after_s: int = 2,
    log: object = None,
    rate: int = 0,
    unix: object = None,
    payload_max: int = 2048,
    rtc_state: object = None,
) -> tuple:
    """Make Live, Backlog and log of a node whose clock is set."""
    log = Log() if log is None else log
    encode = Telemetry("base", 1, BOOT, Clock(unix or (lambda: T0)), LAYOUT)
    stored = backlog(log, encode, rate, payload_max, rtc_state)
    return Live(Ring(SIZE, 8), stored, encode, commit_after_s), stored, log


def said(source: object, now: int = 0) -> object:
    """Return what a source gives next, as an object, and send it."""
    found = peeked(source, now)
    if found is None:
        return None
    source.sent(found[0])  # type: ignore[attr-defined]
    return json.loads(found[1].payload)


def fill(stored: Backlog, readings: list) -> None:
    """Put Readings on flash."""
    records = bytearray(SIZE * len(readings))
    for index, each in enumerate(readings):
        pack_into(records, index * SIZE, each)
    stored.append(bytes(records), 0)


def case_live_goes_out_one_by_one() -> None:
    """A live Reading is a message of its own, with its number, its time and its values."""
    live, _, _ = outbox()
    live.put(reading(0))
    live.put(reading(1))
    assert said(live) == {
        "v": 1,
        "boot": BOOT,
        "seq": 0,
        "ts": T0,
        "temperature": 24.4,
        "humidity": 46.3,
    }
    assert said(live)["seq"] == 1  # type: ignore[index]
    assert said(live) is None
    assert live.queued == 2
    live.done(1)
    live.done(0)
    assert live.queued == 0


def case_acknowledged_in_time_never_sees_flash() -> None:
    """While the broker acknowledges within commit_after, nothing is written."""
    live, stored, log = outbox()
    for seq in range(100):
        live.put(reading(seq))
        said(live, 10000 * seq)
        live.done(seq)
        assert not run_due(live, 10000 * seq + 10000)
        assert (live.due, live.ready) == (None, False)
    assert (stored.commits, log.records) == (0, [])


def case_committed_when_due() -> None:
    """What is not acknowledged is on flash at most commit_after seconds after it was taken."""
    live, stored, log = outbox(commit_after_s=2)
    live.put(reading(1))  # taken in second 10
    assert not run_due(live, 11999)
    assert (live.due, len(log)) == (12000, 0)
    assert run_due(live, 12000)
    assert len(log) == 1
    assert (live.queued, stored.queued) == (0, 1)


def case_commit_after_0_is_at_once() -> None:
    """With commit_after 0 a Reading is on flash in the very step after it was taken."""
    live, _, log = outbox(commit_after_s=0)
    live.put(reading(1))
    run_due(live, 10000)
    assert len(log) == 1


def case_in_flight_stays_with_live() -> None:
    """What was in flight when it was committed is sent again by Live, and not by the Backlog."""
    live, stored, log = outbox()
    for seq in range(4):
        live.put(reading(seq))
    said(live)
    said(live)
    run_due(live, 100000)
    assert len(log) == 4
    live.rewind()
    stored.rewind()
    assert said(stored)["seq"] == 2  # type: ignore[index]
    assert [said(live)["seq"] for _ in range(2)] == [0, 1]  # type: ignore[index]
    live.done(0)
    live.done(1)
    stored.done(2)
    assert (len(log), stored.queued, live.queued) == (0, 0, 0)


def case_flash_that_fails_leaves_them_in_ram() -> None:
    """A commit that fails is counted and tried again; what the ring cannot hold is counted too."""
    log = Log()
    log.broken = True
    live, stored, _ = outbox(log=log)
    for seq in range(10):
        live.put(reading(seq))
    run_due(live, 100000)
    assert (live.errors, live.dropped, live.queued) == (1, 2, 8)
    run_due(live, 100001)
    assert live.errors == 1  # not at every step
    log.broken = False
    run_due(live, 160000)
    assert (len(log), live.queued) == (8, 0)
    assert said(stored)["seq"] == 2  # type: ignore[index]


def case_commit_goes_around_the_rings_end() -> None:
    """What waits in RAM is written in order, in one write or two, straight from where it lies."""
    live, stored, log = outbox()
    for seq in range(11):
        live.put(reading(seq))
        if seq < 5:
            said(live)
            live.done(seq)
    run_due(live, 1000000)
    assert (stored.commits, live.queued, len(log)) == (2, 0, 6)
    assert said(stored)["temperature"] == [24.9, 25.0, 25.1, 25.2, 25.3, 25.4]  # type: ignore[index]


def case_commit_without_heap_is_tried_again() -> None:
    """No heap for a write is as a flash that fails: counted, and tried again in a minute."""
    live, _, log = outbox()
    live.put(reading(0))
    log.append = starve
    run_due(live, 100000)
    assert (live.errors, live.queued) == (1, 1)
    del log.append
    run_due(live, 160000)
    assert (len(log), live.queued) == (1, 0)


def starve(*_: object) -> None:
    """Have no heap."""
    raise MemoryError


def case_reading_without_heap_is_none() -> None:
    """What could not be packed is lost: the bytes in its place are not sent as if it were they."""
    live, _, _ = outbox()
    live.put(reading(0))
    packs, live._encode.pack_into = live._encode.pack_into, starve
    try:
        live.put(reading(1))
        raise AssertionError("it has raised nothing")
    except MemoryError:
        pass
    live._encode.pack_into = packs
    live.put(reading(2))
    assert live.queued == 2
    assert [said(live)["seq"] for _ in range(2)] == [0, 2]  # type: ignore[index]
    assert said(live) is None


def case_batch_without_heap_gets_smaller() -> None:
    """Half of it, and half of that, where there is none to read it or to make its payload: for what
    was read the Link says so.
    """
    _, stored, log = outbox()
    fill(stored, [reading(seq) for seq in range(100)])
    reads = log.read
    log.read = lambda position, buffer, count: (
        reads(position, buffer, count) if count <= 30 else starve()
    )
    assert [said(stored, now) for now in range(2)] == [None, None]
    assert len(said(stored, 2)["temperature"]) == 25  # type: ignore[index]
    assert stored.ready
    stored.cut(None, 0)
    assert not stored.ready
    assert len(said(stored, 3)["temperature"]) == 12  # type: ignore[index]


class Client:
    """One that is not connected, and keeps its session."""

    state = "down"
    clean_session = False


def case_batch_in_flight_comes_again_as_it_was_or_not_at_all() -> None:
    """Where there is no heap to read it, whoever has just sent the one before hears of that;
    between connections the next one is told to know nothing of it.
    """
    _, stored, log = outbox()
    stored.batch_max = 10
    fill(stored, [reading(seq) for seq in range(30)])
    assert [said(stored)["seq"] for _ in range(2)] == [0, 10]  # type: ignore[index]
    stored.rewind()
    reads = log.read
    log.read = lambda position, *more: reads(position, *more) if position != 10 else starve()
    try:
        said(stored)
        raise AssertionError("it has raised nothing")
    except MemoryError:
        pass
    log.read = reads
    assert [said(stored)["seq"] for _ in range(2)] == [10, 20]  # type: ignore[index]

    stored.client = Client()
    stored.rewind()
    log.read = starve
    assert run_due(stored, 0)
    assert stored.client.clean_session
    assert not stored.ready


def case_batch_is_whole_again_after_a_backlog() -> None:
    """A heap that was short once does not make the batches of all later outages smaller."""
    _, stored, _ = outbox()
    fill(stored, [reading(seq) for seq in range(100)])
    run_due(stored, 0)
    for _ in range(7):
        stored.cut(None, 0)
    assert {count for count, _ in sizes(stored)} == {1}
    for position in range(100):
        stored.done(position)
    run_due(stored, 0)
    fill(stored, [reading(seq) for seq in range(100, 200)])
    assert [count for count, _ in sizes(stored)] == [100]


def case_batch_with_even_spacing() -> None:
    """A backlog goes out as one message: dt is a number where the Readings are evenly spaced."""
    _, stored, _ = outbox()
    fill(stored, [reading(seq) for seq in range(3, 6)])
    assert said(stored) == {
        "v": 1,
        "boot": BOOT,
        "seq": 3,
        "ts": T0 + 30,
        "dt": 10,
        "temperature": [24.7, 24.8, 24.9],
        "humidity": [46.3, 46.3, 46.3],
    }


def case_batch_with_uneven_spacing() -> None:
    """Else dt is the list of offsets."""
    _, stored, _ = outbox()
    fill(stored, [reading(0), reading(1), reading(2, ts=T0 + 21)])
    assert said(stored)["dt"] == [0, 10, 21]  # type: ignore[index]


def case_batch_ends_at_a_gap_and_at_a_boot() -> None:
    """A batch holds Readings of one boot without a gap in seq; one alone has no lists."""
    _, stored, _ = outbox()
    fill(stored, [reading(0), reading(1), reading(3), reading(0, boot=8), reading(1, boot=8)])
    first, alone, other = [said(stored) for _ in range(3)]
    assert first["temperature"] == [24.4, 24.5]  # type: ignore[index]
    assert (alone["seq"], alone["temperature"]) == (3, 24.7)  # type: ignore[index]
    assert (other["boot"], other["seq"], other["dt"]) == (8, 0, 10)  # type: ignore[index]
    assert said(stored) is None


def case_batch_is_bounded() -> None:
    """At most 100 Readings make a message, and it stays below 2 KB."""
    _, stored, _ = outbox()
    fill(stored, [reading(seq, ts=T0 + 10 * seq + seq % 2) for seq in range(250)])
    sizes = []
    while True:
        found = peeked(stored, 0)
        if found is None:
            break
        stored.sent(found[0])
        sizes.append(len(json.loads(found[1].payload)["temperature"]))
        assert len(found[1].payload) < 2048
    assert sizes == [100, 100, 50]


def sizes(stored: Backlog) -> list:
    """Send all that there is: how many Readings, and how many bytes, each batch has."""
    found: list = []
    while True:
        batch = peeked(stored, 0)
        if batch is None:
            return found
        stored.sent(batch[0])
        values = json.loads(batch[1].payload)["temperature"]
        count = len(values) if isinstance(values, list) else 1
        found.append((count, len(batch[1].payload)))


def case_batch_keeps_to_payload_max() -> None:
    """Batches are as long as the config allows, and no longer, also where offsets are listed."""
    for uneven in (0, 1):
        _, stored, _ = outbox(payload_max=512)
        fill(stored, [reading(seq, ts=T0 + 10 * seq + uneven * seq % 3) for seq in range(250)])
        found = sizes(stored)
        assert sum(count for count, _ in found) == 250
        assert all(size <= 512 for _, size in found)
        assert max(size for _, size in found) > 450


def case_batch_that_is_not_carried_is_cut() -> None:
    """Half of its bytes, down to one Reading; what has to be known of that is handed over."""
    rtc_state = fresh_rtc_state()
    _, stored, log = outbox(rtc_state=rtc_state)
    fill(stored, [reading(seq) for seq in range(100)])
    size = sizes(stored)[0][1]
    cuts = []
    while stored.cut(0, size // 2):
        stored.rewind()
        assert rtc_state.get("payload") == size // 2
        counts = [count for count, _ in sizes(stored)]
        assert sum(counts) == 100
        size = size // 2
        cuts.append(counts[0])
    assert cuts == sorted(set(cuts), reverse=True)
    assert cuts[0] > 40
    assert cuts[-1] == 1
    _, later, _ = outbox(log=log, rtc_state=rtc_state)
    later.append(b"", 0)
    assert len(said(later)) == 6  # type: ignore[arg-type]


def case_time_of_an_earlier_boot_stays_unknown() -> None:
    """A Reading of an earlier boot whose clock was never set says so, and how long after boot."""
    _, stored, _ = outbox()
    fill(stored, [reading(0, ts=0, up=5, boot=6), reading(1, ts=0, up=15, boot=6)])
    found = said(stored)
    assert (found["ts"], found["up"], found["dt"]) == (None, 5, 10)  # type: ignore[index]


def case_stamped_afterwards() -> None:
    """One of this boot waits for the clock, then gets the time at which it was taken."""
    clock: list = [None]
    live, _, _ = outbox(commit_after_s=60, unix=lambda: clock[0])
    live.put(reading(0, ts=0, up=5))
    assert peeked(live, 20000) is None
    clock[0] = T0 + 100
    assert said(live, 30000)["ts"] == T0 + 75  # type: ignore[index]


def case_damaged_records_hold_nobody_up() -> None:
    """What the log cannot read counts as gone: the rest is delivered and forgotten."""
    _, stored, log = outbox(log=Log(damaged=(0, 3)))
    fill(stored, [reading(seq) for seq in range(5)])
    assert said(stored)["seq"] == 1  # type: ignore[index]
    assert said(stored)["seq"] == 4  # type: ignore[index]
    assert said(stored) is None
    stored.done(1)
    stored.done(4)
    assert len(log) == 0


def case_acknowledged_out_of_turn() -> None:
    """Batches are acknowledged in any order; the log forgets when its front is done."""
    _, stored, log = outbox()
    fill(stored, [reading(seq) for seq in range(0, 8, 2)])
    keys = [0, 1, 2, 3]
    assert [said(stored)["seq"] for _ in keys] == [0, 2, 4, 6]  # type: ignore[index]
    for key in (3, 1, 2):
        stored.done(key)
    assert (log.first, stored.queued) == (0, 1)
    stored.done(0)
    assert (log.first, stored.queued) == (4, 0)


def case_pace() -> None:
    """With a rate, a batch waits for its time; what was in flight before does not."""
    _, stored, _ = outbox(rate=10)
    fill(stored, [reading(seq) for seq in range(0, 40, 2)])
    assert said(stored, 0)["seq"] == 0  # type: ignore[index]
    assert said(stored, 99) is None
    assert said(stored, 100)["seq"] == 2  # type: ignore[index]
    stored.rewind()
    assert [said(stored, 101)["seq"] for _ in range(2)] == [0, 2]  # type: ignore[index]
    assert said(stored, 101) is None


def case_what_is_acknowledged_is_synced() -> None:
    """Flash is told at once when the backlog is empty, else every 10 s."""
    _, stored, log = outbox()
    fill(stored, [reading(0), reading(2)])
    said(stored)
    said(stored)
    stored.done(0)
    run_due(stored, 1000)
    assert log.syncs == 0
    run_due(stored, 10000)
    assert log.syncs == 1
    stored.done(1)
    run_due(stored, 10001)
    assert log.syncs == 2
    assert stored.due is None


def case_batch_is_synced_at_once() -> None:
    """What many Readings are is not sent again because a reset comes within 10 s."""
    _, stored, log = outbox()
    fill(stored, [reading(seq) for seq in range(120)])
    said(stored)
    stored.done(0)
    run_due(stored, 1000)
    assert (log.first, log.syncs) == (100, 1)


class Store:
    """Stands for node/shared/pair_file.py."""

    def __init__(self, held: tuple = ()) -> None:
        self.saves: list = []
        self._held = held

    def load(self) -> tuple:
        """Return what is kept."""
        return self._held

    def save(self, pairs: list) -> None:
        """Keep."""
        self.saves.append(pairs)


def case_messages_are_kept_when_they_wait() -> None:
    """A Message that waits longer than commit_after is on flash until it is acknowledged."""
    store = Store()
    now = 5000
    messages = Messages(8, store, 2, lambda: now)
    messages.put("t", b"one")
    assert not run_due(messages, 6999)
    assert run_due(messages, 7000)
    assert store.saves == [[("t", b"one")]]
    assert messages.due is None
    now = 7001
    messages.done(1)
    assert run_due(messages, 9001)
    assert store.saves[1:] == [[]]


def case_messages_acknowledged_in_time_see_no_flash() -> None:
    """One that is acknowledged in time leaves no trace on flash."""
    store = Store()
    messages = Messages(8, store, 2, lambda: 0)
    messages.put("t", b"one")
    messages.done(1)
    run_due(messages, 100000)
    assert not store.saves


def case_messages_come_back_after_a_reset() -> None:
    """What was kept is sent first."""
    messages = Messages(8, Store((("t", b"old"),)), 2, lambda: 0)
    messages.put("t", b"new")
    assert [peeked(messages, 0)[1].payload, messages.queued] == [b"old", 2]


def case_messages_are_bounded() -> None:
    """By number and by bytes; the oldest go, and are counted."""
    messages = Messages(3, Store(), 2, lambda: 0)
    for index in range(5):
        messages.put("t", b"%d" % index)
    assert (messages.queued, messages.dropped, peeked(messages, 0)[1].payload) == (3, 2, b"2")
    messages.put("t", b"x" * 5999)
    assert (messages.queued, messages.dropped) == (2, 4)
    assert messages.room(0, 9)
    assert not messages.room(1, 1)  # by bytes
    messages = Messages(3, Store(), 2, lambda: 0)
    messages.put("t", b"1")
    assert messages.room(2, 2999)
    assert not messages.room(2, 3000)
    assert not messages.room(3, 1)


def case_messages_are_sent_again_after_rewind() -> None:
    """What is sent is not given again, until the connection breaks."""
    messages = Messages(3, Store(), 2, lambda: 0)
    messages.put("t", b"a")
    messages.put("t", b"b")
    messages.sent(1)
    assert messages.peek(0) == 2
    messages.rewind()
    assert messages.peek(0) == 1
