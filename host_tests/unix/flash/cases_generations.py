"""device/generations.py, node/readings/drains.py: logs of several layouts on one flash. Runs under
MicroPython alone.
"""

import json
import os
from binascii import a2b_base64
from collections import namedtuple

from device import generations
from device.boots import next_boot
from device.flash import access, read, replace
from node.commands.response_cache import ResponseCache
from node.readings import layouts
from node.readings.backlog import Backlog
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.shared.pair_file import PairFile
from node.shared.reading import Reading
from recordlog import RecordLog
from ring import Ring
from support.flash.flashes import ROOT, cut_everywhere, fresh, mount
from support.flash.refusals import insist, refuse_everywhere
from support.parts.backlogs import fresh_rtc_state
from support.parts.due import given, peeked, run_due

# MicroPython has no typing; it never looks at an annotation.
if False:
    from collections.abc import Iterator

Limits = namedtuple("Limits", "backlog_rate payload_max outbox_readings")

BOOT = 9
FIRST = (("temperature", 1, "h"), ("humidity", 1, "h"))
# Of later versions: the same two, a third one, other two of which one is wide.
LAYOUTS = (
    FIRST,
    FIRST + (("outdoor_temperature", 2, "h"),),  # noqa: RUF005 (MicroPython has no * in a tuple)
    (("p", 0, "i"), ("temperature", 1, "h")),
)


def values_of(fields: tuple, seq: int) -> tuple:
    """Make the values of a Reading, like no other's; each seventh has none for the last field."""
    made: list[int | None] = [100 * index + seq for index in range(len(fields))]
    if seq % 7 == 6:
        made[-1] = None
    return tuple(made)


def payload_values(fields: tuple, seq: int) -> list:
    """Tell what telemetry says of those."""
    values = values_of(fields, seq)
    units = [10**decimals for _, decimals, _ in fields]
    return [v if v is None or u == 1 else v / u for v, u in zip(values, units)]  # noqa: B905


def legacy(count: int) -> None:
    """Have what a version from before all formats leaves on flash: `count` Readings, of boot 1."""
    log = RecordLog("readings", 20, 200, None, access)
    packed = Telemetry("", 1, 1, None, layouts.of(FIRST))
    record = bytearray(20)
    for seq in range(count):
        taken = Reading(1, seq, 1_700_000_000 + seq, seq, values_of(FIRST, seq))
        packed.pack_into(record, 0, taken)
        log.append(record)


class Node:
    """The Outbox of one boot, of a node with these fields, and a broker that hears what is sent."""

    def __init__(self, fields: tuple, boot: int, most: int = 1000, payload_max: int = 512) -> None:
        self.fields = fields
        encode = Telemetry("a/b", 1, boot, None, layouts.of(fields))
        limits = Limits(0, payload_max, most)
        self.backlog: Backlog = insist(generations.opened, encode, limits, fresh_rtc_state())
        self.live = Live(Ring(encode.size, 8), self.backlog, encode, 2)
        self.boot = boot
        self.encode = encode
        self.now = 0
        self.times: dict = {}  # of what was delivered: ts by (boot, seq)

    def sources(self) -> list:
        """Return them as app.py does."""
        return [self.live, self.backlog]

    def take(self, seq: int) -> None:
        """Have a Reading on flash."""
        values = values_of(self.fields, seq)
        self.live.put(Reading(self.boot, seq, 1_700_000_000 + seq, seq, values))
        for _ in range(4):
            self.live.save()  # where flash refused it, it would be tried again in a minute

    def deliver(self) -> list:
        """Send one Message and have it acknowledged: [(boot, seq, {name: value})] of it."""
        for source in self.sources():
            told = peeked(source, self.now)
            if told is not None:
                source.sent(told[0])
                source.done(told[0])
                self.now += 20_000
                for each in self.sources():
                    run_due(each, self.now)
                said = json.loads(told[1].payload)
                found = list(taken_apart(said))
                dt = said.get("dt", 0)
                for index, each in enumerate(found):
                    after = dt[index] if isinstance(dt, list) else index * dt
                    self.times[each[:2]] = said["ts"] + after
                return found
        return []

    def all(self) -> list:
        """Deliver everything; what has arrived, in order."""
        found: list = []
        while more := self.deliver():
            found += more
        return found


def taken_apart(said: dict) -> "Iterator[tuple]":
    """Yield (boot, seq, values by name) of each Reading in a payload."""
    names = [name for name in said if name not in ("v", "boot", "seq", "ts", "dt", "up")]
    many = "dt" in said
    for index in range(len(said[names[0]]) if many else 1):
        values = {name: said[name][index] if many else said[name] for name in names}
        yield said["boot"], said["seq"] + index, values


def right(found: list, of_boots: dict) -> None:
    """Each has the fields and values that its boot's Readings had, whatever the node has by now."""
    for boot, seq, values in found:
        fields = of_boots[boot]
        wanted = {}
        for (name, _, _), value in zip(fields, payload_values(fields, seq)):  # noqa: B905
            wanted[name] = value
        assert values == wanted, (boot, seq, values, wanted)


def folders() -> list:
    """Return the names of the logs on flash."""
    return sorted(name for name in os.listdir(ROOT) if name.startswith("readings"))


def upgraded(first: int, second: int, refusals: "tuple | None" = None) -> None:
    """Readings of an old version wait; the node is updated twice, to LAYOUTS of these numbers, and
    takes more each time. All that was on flash arrives, as what it was.
    """
    of_boots = {1: FIRST, 2: LAYOUTS[first], 3: LAYOUTS[second], 9: LAYOUTS[second]}

    def prepare() -> None:
        os.chdir(ROOT)
        legacy(9)

    def scenario() -> "Iterator[set]":
        waiting = {(1, seq) for seq in range(9)}
        yield set(waiting)
        for boot in (2, 3):
            node = Node(of_boots[boot], boot)
            yield set(waiting)
            for seq in range(14):
                node.take(seq)
                waiting.add((boot, seq))
                yield set(waiting)
                if seq > 8:
                    for arrived in node.deliver():
                        waiting.discard(arrived[:2])
                    yield set(waiting)
        right(node.all(), of_boots)
        yield set()
        assert folders() == [generations.named(node.encode.fields, node.encode.format)[0]]
        os.chdir("/")

    def check(before: set, after: set) -> None:
        os.chdir(ROOT)
        node = Node(LAYOUTS[second], 9)
        node.take(0)
        found = node.all()
        right(found, of_boots)
        known = [each[:2] for each in found]
        assert len(set(known)) == len(known), "twice in one go"
        assert not (before & after) - set(known), "lost"
        assert (9, 0) in known
        assert not node.backlog.queued
        assert not node.backlog.elders
        assert not node.backlog.foreign
        del node
        node = Node(LAYOUTS[second], 9)
        assert not node.all(), "twice"
        assert len(folders()) == 1, folders()
        os.chdir("/")

    if refusals:
        print(refuse_everywhere(scenario, check, prepare, *refusals))
    else:
        flash = fresh(24)
        prepare()
        print(cut_everywhere(flash, scenario(), check))


def snapshot(folder: str) -> dict:
    """Return all that is in the files of it."""
    found = {}
    for name in os.listdir(folder):
        with open(folder + "/" + name, "rb") as file:
            found[name] = file.read()
    return found


def foreign_log(name: str, size: int, count: int, forgotten: int) -> dict:
    """Have a log as a later version may leave it, and return what is in it."""
    log = RecordLog(name, size, 1000, None, access, b"whatever that says")
    for number in range(count):
        log.append(bytes([number]) * size)
    log.forget_until(forgotten)
    log.sync()
    return snapshot(name)


def unknown() -> None:
    """A log of a format that nobody here knows is left alone and counted, over boots, and while the
    node takes and delivers its own; so are fields that are not what the folder's name says.
    """
    flash = fresh(32)
    os.chdir(ROOT)
    names = ["readings-2-31-00c0ffee", "readings-1-20-00c0ffee", "readings-x"]
    held = {name: foreign_log(name, size, 9, 2) for name, size in zip(names, (31, 20, 20))}  # noqa: B905
    os.mkdir("readings-3-20-00000000")  # never used
    with open("readings-4-20-00000000", "wb") as file:
        file.write(b"a file")
    legacy(5)
    for boot in (5, 6):
        node = Node(LAYOUTS[1], boot)
        assert node.backlog.foreign == 14, node.backlog.foreign
        for seq in range(3):
            node.take(seq)
        assert node.backlog.queued == (8 if boot == 5 else 3)
        found = node.all()
        right(found, {1: FIRST, boot: LAYOUTS[1]})
        assert len(found) == (8 if boot == 5 else 3)
        assert not node.backlog.queued
        mount(flash)
        os.chdir(ROOT)
        assert {name: snapshot(name) for name in names} == held
    own = generations.named(node.encode.fields, node.encode.format)[0]
    assert folders() == sorted(names + [own, "readings-4-20-00000000"])  # noqa: RUF005
    print("left alone")


def bounded() -> None:
    """The bound counts all logs, and takes from the oldest first; what it took stays counted."""
    fresh(64)
    os.chdir(ROOT)
    legacy(100)
    node = Node(LAYOUTS[1], 2, most=120)
    for seq in range(20):
        node.take(seq)
    assert (node.backlog.queued, node.backlog.dropped) == (120, 0), node.backlog.queued
    node.take(20)
    first = node.backlog.dropped
    assert 0 < first <= 100, first
    assert node.backlog.queued == 121 - first, (node.backlog.queued, first)
    # And by another update in between, from all of them in their order.
    node = Node(LAYOUTS[2], 3, most=120)
    for seq in range(119):
        node.take(seq)
    assert 121 + 119 - 120 - 40 <= node.backlog.dropped <= 121 + 119
    assert node.backlog.queued <= 120
    dropped, queued = node.backlog.dropped, node.backlog.queued
    assert dropped + queued == 121 + 119
    found = node.all()
    right(found, {1: FIRST, 2: LAYOUTS[1], 3: LAYOUTS[2]})
    assert len(found) == queued
    taken = [(boot, seq) for boot, n in ((1, 100), (2, 21), (3, 119)) for seq in range(n)]
    assert [each[:2] for each in found] == taken[dropped:]
    assert node.backlog.dropped == dropped
    assert Node(LAYOUTS[2], 4).backlog.dropped == dropped
    print(dropped, queued)


def counted() -> None:
    """What the bound took of a log that is drained and removed since is counted once, and no more,
    wherever the power goes.
    """
    flash = fresh(32)
    os.chdir(ROOT)
    log = RecordLog("readings", 20, 40, 10, access)
    packed = Telemetry("", 1, 1, None, layouts.of(FIRST))
    record = bytearray(20)
    for seq in range(60):
        packed.pack_into(record, 0, Reading(1, seq, 1_700_000_000 + seq, seq, (seq, seq)))
        log.append(record)
    dropped = log.dropped
    assert dropped >= 20
    name = []

    def scenario() -> "Iterator[int]":
        yield dropped
        node = Node(LAYOUTS[1], 2)
        name.append(generations.named(node.encode.fields, node.encode.format)[0])
        node.take(0)
        node.all()
        yield node.backlog.dropped
        os.chdir("/")

    def check(before: int, after: int) -> None:
        os.chdir(ROOT)
        for boot in (3, 4):
            node = Node(LAYOUTS[1], boot)
            node.all()
            assert node.backlog.dropped == before == after, (node.backlog.dropped, before, after)
            assert not node.backlog.foreign
        assert folders() == name[:1]
        os.chdir("/")

    print(cut_everywhere(flash, scenario(), check))


def full() -> None:
    """A flash that an older log has filled to the last block takes the next Reading all the same:
    the oldest go for it, and no others.
    """
    fresh(16)
    os.chdir(ROOT)
    log = RecordLog("readings", 20, 10_000, 50, access)
    packed = Telemetry("", 1, 1, None, layouts.of(FIRST))
    record = bytearray(20)
    seq = 0
    refused: int | None = 0
    while not refused:
        taken = Reading(1, seq, 1_700_000_000 + seq, seq, values_of(FIRST, seq))
        packed.pack_into(record, 0, taken)
        try:
            log.append(record)
            seq += 1
        except OSError as error:
            refused = error.errno
    assert refused == 28
    node = Node(LAYOUTS[1], 2, most=10_000)
    for number in range(60):
        node.take(number)
    assert not node.live.queued
    dropped = node.backlog.dropped
    assert 0 < dropped < seq // 2
    found = node.all()
    right(found, {1: FIRST, 2: LAYOUTS[1]})
    known = [each[:2] for each in found]
    assert known == [(1, each) for each in range(dropped, seq)] + [(2, each) for each in range(60)]
    print(seq, dropped)


def paced() -> None:
    """With a rate, all logs together keep to it, the oldest first."""
    fresh(32)
    os.chdir(ROOT)
    legacy(8)
    node = Node(LAYOUTS[1], 2)
    for seq in range(4):
        node.take(seq)
    backlog = node.backlog
    backlog.limits, backlog.batch_max = Limits(10, 512, 1000), 2
    sent = []
    for now in range(0, 3000, 100):
        found = peeked(backlog, now)
        if found:
            backlog.sent(found[0])
            sent.append((now, json.loads(found[1].payload)["boot"]))
    print(sent)
    assert sent == [(200 * step, 1 if step < 4 else 2) for step in range(6)]


def life(boot: int, takes: int, sends: bool) -> None:
    """One boot in the working directory: so many Readings, and perhaps all is delivered. Prints
    [records left alone, [boot, seq] of what was delivered].
    """
    node = Node(LAYOUTS[1], boot)
    for seq in range(takes):
        node.take(seq)
    found = node.all() if sends else []
    right(found, dict.fromkeys(range(10), LAYOUTS[1]))
    print(json.dumps([node.backlog.foreign, [each[:2] for each in found]]))


def boot_of(name: str) -> int:
    """The number in a file that counts boots."""
    return int.from_bytes(read(name)[:4], "little")


def of_b079fd8(path: str) -> None:
    """What the node of commit b079fd8 has left on flash, with the power cut while its Readings
    waited: each arrives with its number, time and values, though the power goes anywhere in the
    update; its Response is still to be sent, and its Command is not carried out again.
    """
    with open(path) as file:
        kept_by = json.load(file)
    held = {(boot, seq): (ts, [t / 10, h / 10]) for boot, seq, ts, _, t, h in kept_by["held"]}
    boot = kept_by["held"][0][0] + 1
    flash = fresh(32)
    os.chdir(ROOT)
    os.mkdir("readings")
    for name, data in kept_by["files"].items():
        with open(name, "wb") as kept:
            kept.write(a2b_base64(data))

    def arrived(node: Node, found: list) -> set:
        for old in [each for each in found if each[0] != boot]:
            ts, values = held[old[:2]]
            assert node.times[old[:2]] == ts
            assert [old[2]["temperature"], old[2]["humidity"]] == values
        return {each[:2] for each in found}

    def scenario() -> "Iterator[set]":
        waiting = set(held)
        yield set(waiting)
        assert next_boot(None) == boot
        node = Node(LAYOUTS[1], boot)
        for seq in range(4):
            node.take(seq)
            waiting.add((boot, seq))
            yield set(waiting)
        while found := node.deliver():
            waiting -= arrived(node, found)
            yield set(waiting)
        assert not waiting
        assert "readings" not in folders()
        os.chdir("/")

    def check(before: set, after: set) -> None:
        os.chdir(ROOT)
        assert boot <= next_boot(None) < boot_of("boot.bin"), "code from before goes on above it"
        node = Node(LAYOUTS[1], boot + 1)
        found = arrived(node, node.all())
        assert found >= before & after, "lost"
        assert found <= before | after | set(held)
        responses = Messages(24, PairFile("own/responses", read, replace), 2, lambda: 0)
        assert responses.queued == 1
        assert json.loads(given(responses, 0)[1].payload)["id"] == "kept"
        assert "kept" in ResponseCache("own/commands", read, replace)
        os.chdir("/")

    print(cut_everywhere(flash, scenario(), check))
