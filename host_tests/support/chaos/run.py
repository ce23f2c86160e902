"""Faults done to a node, one after the other, until everything has come right again."""

from __future__ import annotations

import time
from collections.abc import Callable

from support.chaos.faults import KINDS, LASTING, Fault
from support.chaos.world import World
from support.proxies.packet_proxy import Word

# Real seconds in which everything has to come right again: the longest wait of the node's own is 6
# minutes (a rival with its id), 7 real seconds.
RIGHT_S = 30.0


class Stuck(Exception):
    """Raised when nothing is delivered any more although no fault lasts."""


class Run:
    """Faults, carried out one after the other, and how long each took to be over.

    `done` are those carried out; `times` by kind the real seconds from the end of a fault, or of
    the last of several that came together, to the first Reading delivered.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.done: list[Fault] = []
        self.unmet: list[Fault] = []  # never happened: what they wait for did not come
        self.times: list[tuple[list[str], float]] = []
        self.began = time.monotonic()

    def go(self, faults: list[Fault], advance: Callable[[int], None] = lambda count: None) -> None:
        """Carry them out. Raises Stuck."""
        if not self.world.books.wait_delivered(RIGHT_S):
            raise Stuck("no Reading arrives, before any fault")
        at = 0
        while at < len(faults):
            count = 1
            while at + count < len(faults) and faults[at + count].joins:
                count += 1
            self._together(faults[at : at + count])
            advance(count)
            at += count

    def _together(self, faults: list[Fault]) -> None:
        world = self.world
        words: list[tuple[Fault, Word]] = []
        for fault in faults:
            world.pause(fault.gap_s)
            world.note(f"{fault.kind} {fault.number}")
            word = KINDS[fault.kind](world, fault)
            if word:
                words.append((fault, word))
        world.pause(max((each.hold_s for each in faults if each.kind in LASTING), default=0))
        world.restore()
        deadline = time.monotonic() + RIGHT_S
        for fault, word in words:
            if not word.happened.wait(max(deadline - time.monotonic(), 0)):
                self.unmet.append(fault)
        world.packets.restore()
        world.note("over")
        over = time.monotonic()
        if not world.books.wait_delivered(RIGHT_S):
            world.note("STUCK")
            raise Stuck(f"no Reading arrives after {', '.join(each.kind for each in faults)}")
        self.times.append(([each.kind for each in faults], time.monotonic() - over))
        self.done += faults
