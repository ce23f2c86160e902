"""A real node in a load run: the firmware under MicroPython's unix port, with a device's folder as
its flash. What it does is known from its log.
"""

import asyncio
import contextlib
import math
import re
import time
from pathlib import Path

from limpet.fleet.load import machine
from limpet.fleet.load.figures import Device, Figures
from limpet.identity import device_config
from limpet.identity.batch import processes
from limpet.node_host.interpreter import micropython
from limpet.node_host.process import NodeProcess
from limpet.shared.problem import Problem

# 4.5 MB and 40 ms of CPU at its start were seen, and a thread here that reads its log. It is the
# handshakes of all at once, 8 ms each, that keep a core from the rest.
MEMORY_KB = 8 * 1024
A_CORE = 50
# Of files, here: its log and its folder's lock.
FILES = 3
# The DHT22 that it plays gives no more.
_LEAST_S = 2
_LINE = re.compile(r"\d+\.\d{3} (node|link|sampler) (\S+)(.*)")
_WORD = re.compile(r"(\w+)=(\S+)")


def reckoned(nodes: int) -> int:
    """Return how many of so many nodes are real where nobody said: what the machine holds besides
    the others; 0 without an interpreter.
    """
    try:
        micropython()
    except Problem:
        return 0
    free = machine.free_kb()
    fits = nodes if free is None else free // 4 // MEMORY_KB
    return min(nodes, processes() * A_CORE, fits)


class RealNode:
    """One of them; what it offers is what light_node.py offers. port: of the broker, where that is
    not as its config has it.
    """

    def __init__(
        self, folder: Path, base: str, figures: Figures, interval_s: float, port: int | None
    ) -> None:
        self.base = base
        self.up = False
        self.connects = 0
        self.fault = ""
        self._name = folder.name
        self._figures = figures
        self._book: Device = figures.devices[base]
        self._boot = 0
        self._ending = False
        self._loop = asyncio.get_running_loop()
        _prepare(folder, interval_s, port)
        self._process = NodeProcess(folder, on_line=self._on_line)

    @property
    def unacknowledged(self) -> int:
        """How many of its Readings have not come through and still may: it does not say which have
        a PUBACK.
        """
        return 0 if self.fault else len(self._book.missing())

    def kept(self) -> set[tuple[int, int]]:
        """Return those that it is known to keep: none, as it does not say."""
        return set()

    def start(self) -> None:
        """Power on."""
        self._process.start()

    def cut(self) -> bool:
        """Lose the connection: a process's own cannot be cut from outside."""
        return False

    def look(self) -> None:
        """See whether it still runs."""
        if not self._ending and self._process.returncode is not None:
            code = self._process.returncode
            self.fault = f"the real node {self._name} ended by itself, exit code {code}"

    def rest(self) -> None:
        """It goes on taking Readings, and from now on they do not count."""
        self._book.closed = True

    async def end(self, clear: bool) -> None:
        """Power off, with a goodbye. Its last status stays."""
        self._ending = True
        await asyncio.to_thread(self._process.stop)

    def kill(self) -> None:
        """Take the power away, if it still has it."""
        self._ending = True
        self._process.kill()

    def _on_line(self, line: str) -> None:
        """A line of its log, on a thread of its own."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._said, line, time.monotonic())

    def _said(self, line: str, now: float) -> None:
        match = _LINE.fullmatch(line)
        if match is None:
            return
        area, what = match[1], match[2]
        words = dict(_WORD.findall(what + match[3]))
        if area == "node" and words.get("boot", "").isdigit():
            self._boot = int(words["boot"])
            self._book.taken.setdefault(self._boot, 0)
            self._down()
        elif area == "sampler" and what == "reading" and words.get("seq", "").isdigit():
            if self._book.took(self._boot, int(words["seq"])):
                self._figures.taken += 1
        elif area == "link" and what == "up":
            self.up = True
            self.connects += 1
            self._figures.up += 1
            self._figures.connected(now)
        elif area == "link" and what == "down":
            self._down()
            if "cause" in words:
                self._figures.downs[words["cause"]] += 1

    def _down(self) -> None:
        self._figures.up -= self.up
        self.up = False


def _prepare(folder: Path, interval_s: float, port: int | None) -> None:
    """Have its config say what this run wants of it."""
    device_config.renewed(folder)
    fields = device_config.read(folder)
    wanted = fields | {"interval_s": max(math.ceil(interval_s), _LEAST_S)}
    if port is not None:
        wanted |= {"port": port}
    if wanted != fields:
        device_config.write(folder, wanted)
