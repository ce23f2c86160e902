"""What the nodes of a run took, and what a consumer behind the cluster got of it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from typing import NamedTuple

from support import wire_readings

_READING = re.compile(r"^\S+ sampler reading seq=(\d+) ")
_BOOT = re.compile(r"^\S+ node boot=(\d+) ")


class Key(NamedTuple):
    """What names a Reading for ever."""

    device: str
    boot: int
    seq: int


class Ledger:
    """Kept by several threads while the nodes run. Times are those of time.monotonic()."""

    def __init__(self, devices: list[str]) -> None:
        self.taken: dict[Key, float] = {}
        self.delivered: Counter[Key] = Counter()
        self.cut: set[Key] = set()
        self.foreign: list[str] = []  # what nobody took, and what is no Reading
        self.reconnects = 0
        self.longest_s = 0.0  # between two deliveries of one node, and whose
        self.longest_of = ""
        self.pause_s = 0.0  # between two deliveries of any
        self._boot: dict[str, int] = {}
        self._last: dict[str, float] = {}
        self._any: float | None = None
        self._changed = threading.Condition()
        self._devices = devices
        self._closed = False

    def line(self, device: str, line: str) -> None:
        """Enter a line of a node's log."""
        with self._changed:
            if found := _BOOT.match(line):
                self._boot[device] = int(found[1])
            if (found := _READING.match(line)) and not self._closed:
                key = Key(device, self._boot[device], int(found[1]))
                self.taken[key] = time.monotonic()
            if " node bug " in line or line.startswith(("Traceback", "MemoryError")):
                self.foreign.append(f"{device}: {line}")
            self.reconnects += " link down cause=" in line

    def got(self, device: str, payload: bytes) -> None:
        """Enter a Message with Readings that came from a device's topic."""
        now = time.monotonic()
        with self._changed:
            try:
                keys = [
                    Key(device, each["boot"], each["seq"])
                    for each in wire_readings.expanded(json.loads(payload))
                ]
            except (ValueError, KeyError, TypeError):
                self.foreign.append(f"{device}: {payload[:80]!r}")
                return
            self.delivered.update(key for key in keys if key in self.taken or not self._closed)
            self._paced(device, now)
            self._changed.notify_all()

    def power_cut(self, device: str, young_s: float) -> None:
        """The power of a node is gone: what it took in the last `young_s`, and nobody got, may be
        lost with it; the flash is promised nothing younger.
        """
        now = time.monotonic()
        with self._changed:
            self.cut |= {
                key
                for key, at in self.taken.items()
                if key.device == device and now - at <= young_s and key not in self.delivered
            }
            self._last.pop(device, None)  # a pause that the cluster has not made

    def close(self) -> None:
        """Count no Reading that is taken from now on."""
        with self._changed:
            self._closed = True

    def boots(self) -> dict[str, int]:
        """Return the number of each node's boot."""
        with self._changed:
            return dict(self._boot)

    def lost(self) -> list[Key]:
        """Return what was taken, did not arrive, and was on flash when the power went."""
        with self._changed:
            return self._lost()

    def _lost(self) -> list[Key]:
        return [key for key in self.taken if key not in self.delivered and key not in self.cut]

    def twice(self) -> int:
        """Return how many Readings arrived more than once."""
        with self._changed:
            return sum(count > 1 for count in self.delivered.values())

    def wait_all(self, timeout_s: float) -> bool:
        """Wait until nothing is missing any more; whether that came."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._lost(), timeout_s)

    def wait_each(self, since: float, timeout_s: float) -> list[str]:
        """Wait until each device has delivered something after `since`; those that have not."""

        def silent() -> list[str]:
            return [each for each in self._devices if self._last.get(each, 0.0) < since]

        with self._changed:
            self._changed.wait_for(lambda: not silent(), timeout_s)
            return silent()

    def _paced(self, device: str, now: float) -> None:
        if self._any is not None:
            self.pause_s = max(self.pause_s, now - self._any)
        self._any = now
        before = self._last.get(device)
        if before is not None and now - before > self.longest_s:
            self.longest_s, self.longest_of = now - before, device
        self._last[device] = now
