"""What the node keeps on flash, with the power cut everywhere. Runs under MicroPython alone.

Each function prints at how many points of its scenario the power was cut; or, if told how, at how
many flash refused operations: (times, (raises, done)), see refusals.py.
"""

import json
import os
import sys

from device.boots import next_boot
from device.console import store
from device.flash import access, read, replace
from device.upgrade import split
from node.commands.response_cache import ENTRIES, ResponseCache
from node.config import config, written
from node.config.settings import mended, unseal, values
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.shared.pair_file import PairFile
from node.shared.reading import Reading
from recordlog import RecordLog
from ring import Ring
from support.flash.flashes import ROOT, cut_everywhere, fresh
from support.flash.refusals import insist, refuse_everywhere
from support.parts.backlogs import backlog
from support.parts.due import given, peeked, run_due
from support.parts.layouts import LAYOUT, SIZE

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
            number = insist(next_boot, unix, PATH)
            assert number > used
            used = number
            yield used

    def check(before: int, after: int) -> None:
        number = next_boot(None, PATH)
        assert number > before
        assert next_boot(None, PATH) > number

    tried(scenario, check, refusals)


def provisioned(refusals: "tuple | None" = None) -> None:
    """device/console.py: no identity, or all of it with its settings; a try that was cut leaves
    nothing to a later one.
    """

    def told(number: int) -> "tuple[bytes, bytes, dict]":
        size = 400 + number
        names = [f"{name}-0000000{number}.der" for name in ("ca", "cert", "key")]
        identity = written.sealed({"number": number, "names": names})
        files = {name: name.encode() * size for name in names}
        return identity, written.encoded({"version": number}), files

    def whole(identity: bytes, own: bytes, files: dict) -> bool:
        assert mended(read, replace, lambda *_: None) == unseal(identity)
        copies = read("identity.json") == identity == read("identity.bak")
        kept = all(read(name) == data for name, data in files.items())
        return copies and kept and read("settings.json") == own

    def scenario() -> "Iterator[int]":
        os.chdir(ROOT)
        yield 0
        insist(store, "settings.json", *told(1))
        yield 1
        os.chdir("/")

    def check(before: int, after: int) -> None:
        os.chdir(ROOT)
        if read("identity.json") is None and read("identity.bak") is None:
            assert not before
            store("settings.json", *told(2))
            assert whole(*told(2))
            assert len(os.listdir()) == 6
        else:
            assert after
            assert whole(*told(1))
        os.chdir("/")

    tried(scenario, check, refusals)


def identities(refusals: "tuple | None" = None) -> None:
    """settings.py: of an identity that is written anew, first copy first, a boot has the old one or
    the new one; and once both copies are there, never the old one again, whichever is lost.
    """
    texts = [written.sealed({"number": number, "more": "m" * 300}) for number in range(4)]

    def taken() -> bytes:
        return mended(read, replace, lambda *_: None)

    def scenario() -> "Iterator[int]":
        os.chdir(ROOT)
        yield 0
        for number in (1, 2, 3):
            for name in ("identity.json", "identity.bak"):
                insist(replace, name, texts[number])
            yield number
        os.chdir("/")

    def check(before: int, after: int) -> None:
        os.chdir(ROOT)
        found = taken()
        assert found in (unseal(texts[before]), unseal(texts[after]))
        for name in ("identity.json", "identity.bak"):
            replace(name, b"\xff" * 300)
            assert taken() == found
        os.chdir("/")

    def prepare() -> None:
        replace(ROOT + "/identity.json", texts[0])
        replace(ROOT + "/identity.bak", texts[0])

    tried(scenario, check, refusals, prepare)


OLD = {"device_id": "node-1", "zone": "desk", "password": "p" * 90, "interval_s": 77, "window": 3}


def upgraded(refusals: "tuple | None" = None) -> None:
    """device/upgrade.py: config.json becomes identity and settings, whatever a cut leaves of them;
    where code of before is in the other slot, it keeps what it needs.
    """

    def scenario() -> "Iterator[bool]":
        os.chdir(ROOT)
        yield False
        insist(split, os.listdir())
        yield True
        os.chdir("/")

    def check(before: bool, after: bool) -> None:
        os.chdir(ROOT)
        names = os.listdir()
        if "config.json" in names:
            split(names)
        assert "config.json" not in os.listdir()
        identity = json.loads(mended(read, replace, lambda *_: None))
        assert identity == {"v": 1, "device_id": "node-1", "zone": "desk", "password": "p" * 90}
        own = read("settings.json", json.load)
        assert own == {"v": 1, "version": 1, "interval_s": 77, "window": 3}
        os.chdir("/")

    first, sys.path[0] = sys.path[0], ""
    tried(scenario, check, refusals, lambda: replace(ROOT + "/config.json", written.encoded(OLD)))
    sys.path[0] = first


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

    now = [0]

    def opened() -> Messages:
        return Messages(4, PairFile(PATH, read, replace), 0, lambda: now[0])

    def held(outbox: Messages) -> "list[tuple[str, bytes]]":
        found = []
        while outbox.ready:
            key, message = given(outbox, 0)
            outbox.sent(key)
            found.append((message.topic, message.payload))
        outbox.rewind()
        return found

    def insisted(outbox: Messages, number: int) -> None:
        for minutes in range(4):  # it tries again after one
            now[0] = (number * 4 + minutes) * 60_000
            run_due(outbox, now[0])

    def scenario() -> "Iterator[list]":
        now[0] = 0
        outbox = opened()
        yield held(outbox)
        for number in range(9):
            outbox.put("a/responses", b"%d" % number * 60)
            insisted(outbox, 2 * number)
            yield held(outbox)
            if number % 3 == 2:
                outbox.done(outbox.peek(0))
                insisted(outbox, 2 * number + 1)
                yield held(outbox)

    def check(before: list, after: list) -> None:
        assert held(opened()) in (before, after)

    tried(scenario, check, refusals)


def configured(refusals: "tuple | None" = None) -> None:
    """The settings: an interval that was set is kept, under a version of its own, and they can
    always be read.
    """
    first = b'{"v": 1, "version": 1, "window": 3, "ntp_servers": ["a.example", "b.example"]}'

    def scenario() -> "Iterator[tuple]":
        yield 10, 1
        own = values(config.settings(first), PATH)
        for number, interval_s in enumerate((60, 2, 86400)):
            insist(written.change, own, "interval_s", interval_s, read, replace)
            yield interval_s, number + 2

    def check(before: tuple, after: tuple) -> None:
        found = config.settings(read(PATH))
        assert (found["interval_s"], found["version"]) in (before, after)
        found.update({"interval_s": 10, "version": 1})
        assert found == config.settings(first)

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

    def run(self, now: int) -> None:
        """What is due goes to flash."""
        run_due(self.live, now)
        run_due(self.backlog, now)

    def deliver(self, now: int) -> "list[int]":
        """Send and acknowledge one Message; the seqs in it."""
        for source in (self.live, self.backlog):
            found = peeked(source, now)
            if found is not None:
                source.sent(found[0])
                source.done(found[0])
                said = json.loads(found[1].payload)
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
            outbox.run(now + 3000)
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
