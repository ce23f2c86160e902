"""The books of a chaos run: what the node says that it took, what the broker says that it has.

Taken is what the node has logged; delivered is what the broker has acknowledged to it; seen is what
an operator got from the broker. All go by (boot, seq). What can be counted outside is not taken
from a counter of the node's.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

from support import schemas, wire_readings
from support.brokers.codec import Packet

Key = tuple[int, int]
_READING = re.compile(r"^(\S+) sampler reading seq=(\d+)((?: \w+=\S+)+)$")
_BOOT = re.compile(r"^\S+ node boot=(\d+) ")
_DOWN = re.compile(r" link down cause=(\S+)")
_OBEYED = re.compile(r" command id=(\S+) .*status=executed")
# A step of the node's main loop, real milliseconds: so much late the commit of a Reading may be.
STEP_MS = 50
# What a machine with other work may keep the node waiting for that step. Beyond STEP_MS it is the
# machine's doing or a commit that comes too late: `late` counts such Readings apart.
BUSY_MS = 250


class Taken(NamedTuple):
    """A Reading as the node has logged it: seconds since boot, and the values."""

    up_s: float
    values: dict[str, float | None]


class Cut(NamedTuple):
    """A Reading that was young when the node was killed: its age in node seconds."""

    key: Key
    age_s: float


class Boot:
    """What one boot of the node said of itself."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.healths: list[dict[str, Any]] = []
        self.began_s = float("inf")  # on the host's clock, when the node's was 0
        self.newest: Taken | None = None


class Books:
    """Kept while the node runs, from several threads. `speed` is the node's."""

    def __init__(self, speed: float, commit_after_s: float) -> None:
        self.taken: dict[Key, Taken] = {}
        self.delivered: Counter[Key] = Counter()
        self.seen: set[Key] = set()
        self.cut: list[Cut] = []
        self.wrong: list[str] = []  # values that differ from what was logged, or from each other
        self.causes: Counter[str] = Counter()  # why the Link went down
        self.bugs: list[str] = []
        self.boots: list[Boot] = []
        self.resets = 0  # that the node chose
        self.dns_slow = False  # has been, since the last boot
        self.longest_ms = self.longest_dns_ms = 0
        self._payloads: dict[Key, tuple[Any, ...]] = {}
        self._obeyed: set[str] = set()  # ids of Commands that were carried out
        self._speed = speed
        self.commit_after_s = commit_after_s
        # A Reading knows the second it was taken in, hence one more.
        self._late_s = commit_after_s + 1 + STEP_MS / 1000 * speed
        self._young_s = commit_after_s + 1 + BUSY_MS / 1000 * speed
        self._changed = threading.Condition()

    # -- what the node says ------------------------------------------------------------------------

    def boot(self, dns_slow: bool) -> Boot:
        """Open an account for a new boot."""
        with self._changed:
            self.boots.append(Boot())
            self.dns_slow = dns_slow
        return self.boots[-1]

    def line(self, boot: Boot, line: str) -> None:
        """Enter a line of the node's log."""
        now = time.monotonic()
        with self._changed:
            if found := _BOOT.match(line):
                self.resets += boot.number is not None
                boot.number, boot.began_s = int(found[1]), float("inf")
            if found := _READING.match(line):
                at, seq, words = found.groups()
                assert boot.number is not None
                pairs = dict(word.split("=") for word in words.split())
                boot.newest = Taken(float(at), {n: json.loads(v) for n, v in pairs.items()})
                self.taken[boot.number, int(seq)] = boot.newest
                boot.began_s = min(boot.began_s, now - boot.newest.up_s / self._speed)
            if found := _DOWN.search(line):
                self.causes[found[1]] += 1
            if found := _OBEYED.search(line):
                # A retained one may be carried out when it is published, and never again.
                if found[1] in self._obeyed:
                    self.wrong.append(line)
                self._obeyed.add(found[1])
            if " node bug " in line or line.startswith(("Traceback", "MemoryError")):
                self.bugs.append(line)

    def killed(self, boot: Boot, at: float) -> None:
        """Enter the Readings that were too young to be on flash when the node was killed."""
        with self._changed:
            up_s = (at - boot.began_s) * self._speed
            for key, taken in self.taken.items():
                if key[0] == boot.number and up_s - taken.up_s <= self._young_s:
                    self.cut.append(Cut(key, up_s - taken.up_s))

    # -- what goes to the broker -------------------------------------------------------------------

    def packet(self, way: str, packet: Packet) -> None:
        """Enter what the packet proxy saw."""
        if packet.name != "PUBLISH":
            return
        if way == "up" and (wrong := schemas.fault(packet.topic, packet.payload)):
            self.wrong.append(wrong)
        elif way == "up" and packet.topic.endswith("/health"):
            self._health(json.loads(packet.payload))
        elif way == "delivered" and wire_readings.is_telemetry(packet.topic):
            with self._changed:
                for each in _expanded(json.loads(packet.payload)):
                    self._arrived(*each)
                self._changed.notify_all()

    def got(self, payload: bytes) -> None:
        """Enter a telemetry Message that an operator got."""
        self.seen |= {key for key, *_ in _expanded(json.loads(payload))}

    def _arrived(self, key: Key, *said: Any) -> None:
        self.delivered[key] += 1
        if self._payloads.setdefault(key, said) != said:
            self.wrong.append(f"{key} said {self._payloads[key]}, then {said}")
        taken = self.taken.get(key)
        if taken and taken.values != said[1]:
            self.wrong.append(f"{key} logged {taken}, said {said}")

    def _health(self, said: dict[str, Any]) -> None:
        with self._changed:
            boot = self.boots[-1]
            boot.healths.append(said)
            if self.dns_slow:
                self.longest_dns_ms = max(self.longest_dns_ms, said["longest_step_ms"])
            else:
                self.longest_ms = max(self.longest_ms, said["longest_step_ms"])

    # -- what is to be known -----------------------------------------------------------------------

    def wait_delivered(self, timeout_s: float) -> bool:
        """Wait until one more Reading has been delivered."""
        with self._changed:
            before = self.delivered.total()
            return self._changed.wait_for(lambda: self.delivered.total() > before, timeout_s)

    def wait_all(self, timeout_s: float) -> bool:
        """Wait until nothing is missing but what may be."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._missing(), timeout_s)

    def lost(self) -> list[Key]:
        """Return the Readings that were taken, not delivered, and not young at a cut."""
        with self._changed:
            return self._missing()

    def _missing(self) -> list[Key]:
        young = {each.key for each in self.cut}
        return [key for key in self.taken if key not in self.delivered and key not in young]

    def young_lost(self) -> list[Cut]:
        """Return the Readings that a cut has taken: younger than what flash is promised."""
        return [each for each in self.cut if each.key not in self.delivered]

    def late(self) -> list[Cut]:
        """Return those of them that were older than a node with a machine of its own allows."""
        return [each for each in self.young_lost() if each.age_s > self._late_s]

    def duplicated(self) -> int:
        """Return how many Readings were delivered more than once."""
        return sum(count > 1 for count in self.delivered.values())

    def unseen(self) -> list[Key]:
        """Return what the broker has acknowledged and not passed on."""
        with self._changed:
            return [key for key in self.delivered if key not in self.seen]

    def unheard(self) -> list[Key]:
        """Return what was delivered although the node has never logged it."""
        return [key for key in self.delivered if key not in self.taken]


def _expanded(said: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Each Reading of a telemetry Message: its key, what it says of its time, its values."""
    for each in wire_readings.expanded(said):
        name = "up" if each["ts"] is None else "ts"
        yield (each["boot"], each["seq"]), (name, each[name]), wire_readings.values(each)
