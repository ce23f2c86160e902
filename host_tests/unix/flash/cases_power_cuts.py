"""What the node keeps on flash, with the power cut everywhere. Runs under MicroPython alone.

Each function prints at how many points of its scenario the power was cut; or, if told how, at how
many flash refused operations: (times, (raises, done)), see refusals.py.
"""

import json
import os

from device.boots import next_boot
from device.console import store
from device.flash import access, read, replace
from node.commands.response_cache import ENTRIES, ResponseCache
from node.config import config, settings
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.shared.pair_file import PairFile
from node.shared.reading import Reading
from recordlog import RecordLog
from ring import Ring
from support.flash.flashes import ROOT, cut_everywhere, fresh
from support.flash.refusals import insist, refuse_everywhere
from support.parts.backlogs import backlog
from support.parts.layouts import LAYOUT, SIZE
from support.parts.rig import changed

# MicroPython has no typing; it never looks at an annotation.
if False:
    from collections.abc import Callable, Iterator

PATH = ROOT + "/file"


def tried(
    scenario: "Callable[[], Iterator]",
    check: "Callable",
    refusals: "tuple | None",
    prepare: "Callable[[], None]" = lambda: None,
) -> None:
    """Print what cut_everywhere or refuse_everywhere returns."""
    if refusals:
        print(refuse_everywhere(scenario, check, prepare, *refusals))
    else:
        flash = fresh()
        prepare()
        print(cut_everywhere(flash, scenario(), check))


def replaced(size: int, refusals: "tuple | None" = None) -> None:
    """device/flash.py: a file is the old one or the new one, and nothing is left beside it."""

    def scenario() -> "Iterator[bytes | None]":
        yield None
        for content in (b"a" * size, b"b" * (size // 2), b"", b"c" * size):
            insist(replace, PATH, content)
            yield content

    def check(before: bytes | None, after: bytes | None) -> None:
        assert read(PATH) in (before, after)
        replace(PATH, b"later")
        assert read(PATH) == b"later"
        assert os.listdir(ROOT) == ["file"]

    tried(scenario, check, refusals)


def boot_counter(refusals: "tuple | None" = None) -> None:
    """device/boots.py: no number of a boot is given twice."""

    def scenario() -> "Iterator[int]":
        used = 0
        yield used
        for unix in (1_800_000_000, 1_700_000_000, None, None, 1_900_000_000, None):
            number = insist(next_boot, PATH, unix)
            assert number > used
            used = number
            yield used

    def check(before: int, after: int) -> None:
        number = next_boot(PATH, None)
        assert number > before
        assert next_boot(PATH, None) > number

    tried(scenario, check, refusals)


def provisioned(refusals: "tuple | None" = None) -> None:
    """device/console.py: no config, or all of it; a try that was cut leaves nothing to a later."""

    def told(number: int) -> "tuple[bytes, dict]":
        size = 400 + number
        names = [f"{name}-0000000{number}.der" for name in ("ca", "cert", "key")]
        return json.dumps(names).encode(), {name: name.encode() * size for name in names}

    def whole(text: bytes, files: dict) -> bool:
        return read("config.json") == text and all(
            read(name) == data for name, data in files.items()
        )

    def scenario() -> "Iterator[int]":
        os.chdir(ROOT)
        yield 0
        insist(store, "config.json", *told(1))
        yield 1
        os.chdir("/")

    def check(before: int, after: int) -> None:
        os.chdir(ROOT)
        if read("config.json") is None:
            assert not before
            store("config.json", *told(2))
            assert whole(*told(2))
            assert len(os.listdir()) == 4
        else:
            assert after
            assert whole(*told(1))
        os.chdir("/")

    tried(scenario, check, refusals)


def command_memory(refusals: "tuple | None" = None) -> None:
    """response_cache.py: what was begun is known, and so is the Response once it is kept."""
    ids = [f"id-{number}" for number in range(ENTRIES + 3)]

    def known(memory: ResponseCache) -> "list[tuple[str, bytes | None]]":
        return [(id, memory.response(id)) for id in ids if id in memory]

    def scenario() -> "Iterator[list]":
        memory = ResponseCache(PATH, read, replace)
        yield known(memory)
        for number, id in enumerate(ids):
            insist(memory.begin, id)
            yield known(memory)
            insist(memory.finish, id, b"r" * (number * 40 + 1))
            yield known(memory)

    def check(before: list, after: list) -> None:
        memory = ResponseCache(PATH, read, replace)
        assert known(memory) in (before, after)
        memory.begin("later")
        assert "later" in ResponseCache(PATH, read, replace)

    tried(scenario, check, refusals)


def messages(refusals: "tuple | None" = None) -> None:
    """The Outbox's Messages: each that is due on flash is there until it is acknowledged."""

    def opened() -> Messages:
        return Messages(4, PairFile(PATH, read, replace), 0)

    def held(outbox: Messages) -> "list[tuple[str, bytes]]":
        found = []
        while (peeked := outbox.peek(0)) is not None:
            outbox.sent(peeked[0])
            found.append((peeked[1].topic, peeked[1].payload))
        outbox.rewind()
        return found

    def insisted(outbox: Messages, number: int) -> None:
        for minutes in range(4):  # it tries again after one
            outbox.step((number * 4 + minutes) * 60_000)

    def scenario() -> "Iterator[list]":
        outbox = opened()
        yield held(outbox)
        for number in range(9):
            outbox.put("a/responses", b"%d" % number * 60)
            insisted(outbox, 2 * number)
            yield held(outbox)
            if number % 3 == 2:
                outbox.done(outbox.peek(0)[0])
                insisted(outbox, 2 * number + 1)
                yield held(outbox)

    def check(before: list, after: list) -> None:
        assert held(opened()) in (before, after)

    tried(scenario, check, refusals)


def configured(refusals: "tuple | None" = None) -> None:
    """The config: an interval that was set is kept, and it can always be read."""
    first = b'{"device_id": "node-1", "broker": "localhost", "username": "node-1", "password": "p",'
    first += b'"org": "limpet", "site": "home", "zone": "desk", "device_type": "climate"}'

    def scenario() -> "Iterator[int]":
        yield config.load(PATH).interval_s
        for interval_s in (60, 2, 86400):
            insist(settings.keep, interval_s, PATH, read, replace)
            yield interval_s

    def check(before: int, after: int) -> None:
        cfg = config.load(PATH)
        assert cfg.interval_s in (before, after)
        assert cfg == config.parse(changed(first, cfg.interval_s))

    tried(scenario, check, refusals, lambda: replace(PATH, first))


class Outbox:
    """The Outbox of one boot, and a broker that hears what is sent."""

    def __init__(self) -> None:
        telemetry = Telemetry("a/b", 1, 1, None, LAYOUT)
        self.log = insist(RecordLog, ROOT + "/readings", SIZE, 100, 12, access)
        self.backlog = backlog(self.log, telemetry, batch_max=5)
        self.live = Live(Ring(SIZE, 16), self.backlog, telemetry, 2)

    def take(self, seq: int, now: int) -> None:
        """A Reading is taken."""
        self.live.put(Reading(1, seq, 1_780_000_000 + seq * 10, now // 1000, (240 + seq, 500)))

    def step(self, now: int) -> None:
        """What is due goes to flash."""
        self.live.step(now)
        self.backlog.step(now)

    def deliver(self, now: int) -> "list[int]":
        """Send and acknowledge one Message; the seqs in it."""
        for source in (self.live, self.backlog):
            peeked = source.peek(now)
            if peeked is not None:
                source.sent(peeked[0])
                source.done(peeked[0])
                said = json.loads(peeked[1].payload)
                many = said["temperature"] if "dt" in said else [said["temperature"]]
                assert many == [(240 + said["seq"] + i) / 10 for i in range(len(many))]
                return [said["seq"] + i for i in range(len(many))]
        return []


def readings(refusals: "tuple | None" = None) -> None:
    """The Outbox's Readings: committed ones are delivered, in order; none is made up."""
    count = 60

    def scenario() -> "Iterator[set]":
        outbox = Outbox()
        waiting: set[int] = set()
        yield set(waiting)
        for seq in range(count):
            now = seq * 10_000
            outbox.take(seq, now)
            # Up for 10, down for 20, up for 15, down for the rest.
            if seq < 10 or 30 <= seq < 45:
                for _ in range(2):
                    for arrived in outbox.deliver(now):
                        waiting.discard(arrived)
                    yield set(waiting)
            else:
                waiting.add(seq)
            outbox.step(now + 3000)
            for _ in range(3):
                outbox.live.save()  # where flash refused it, it would be tried again in a minute
            yield set(waiting)
        assert len(waiting) > 10

    def check(before: set, after: set) -> None:
        outbox = Outbox()
        found: list[int] = []
        while more := outbox.deliver(count * 10_000):
            found += more
        assert found == sorted(set(found))
        assert not (before & after) - set(found), "lost"
        assert not set(found) - set(range(count)), "made up"
        assert not outbox.log.damaged

    tried(scenario, check, refusals)
