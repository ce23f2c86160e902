"""`make chaos`: faults of all kinds, drawn at random, against a node that publishes over TLS.

The node is the real one, on the real interpreter, over the ESP32's sockets (esp32/) and a littlefs
that forgets what was not synced (chaos_flash.py). Its clock runs fast, because most of what it does
about a fault is to wait. A Reading counts as delivered when the broker has acknowledged it.

It will NOT prove anything about speed: two proxies and a broker share the machine with the node.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import brokers
import esp32_layer
from brokers import Embedded, Mosquitto, RunningBroker, fields
from chaos_books import Books
from chaos_faults import KINDS, LASTING, Fault, digest, draw
from chaos_table import show
from limpet.node import NodeProcess
from limpet.paths import BUILD, REPO
from limpet.provision import Setup
from ntp_server import NtpServer
from packet_proxy import PacketProxy, Word
from proxy import Proxy
from rich.console import Console
from rich.progress import Progress

SPEED = 50.0
# The least, or near it, that the config allows. A handshake in 40 s is one in 0.8 real seconds.
CONFIG: dict[str, Any] = {
    "broker": "localhost",
    "server_hostname": "127.0.0.1",
    "interval_s": 2,
    "keepalive_s": 10,
    "handshake_s": 40,
    "commit_after_s": 4,
    "health_s": 10,
}
# Real seconds in which everything has to come right again: the longest wait of the node's own is 6
# minutes (a rival with its id), 7 real seconds.
RIGHT_S = 30.0


class Stuck(Exception):
    """Raised when nothing is delivered any more although no fault lasts."""


class Life(NodeProcess):
    """The node from one start to its end; `reset` is why it starts."""

    def __init__(self, root: Path, reset: str, dns: Path, ntp: str, **how: Any) -> None:
        super().__init__(root, **how)
        self._first = reset
        more = {"LIMPET_DNS": str(dns), "LIMPET_NTP": ntp, "LIMPET_NTP_CHECK": "30"}
        self._env = {**self._env, **more}

    def _spawn(self, reset: str) -> None:
        super()._spawn(self._first if reset == "power-on" else reset)


class World:
    """The node, the broker, and all that is between them. A context manager.

    `folder` is scratch, `log` is where the node's lines go.
    """

    def __init__(
        self, broker: RunningBroker, folder: Path, log: TextIO, speed: float = SPEED
    ) -> None:
        self.speed = speed
        self.broker = broker
        self.books = Books(speed, CONFIG["commit_after_s"])
        self.packets = PacketProxy(broker, speed=speed, watch=self.books.packet)
        self._log = log
        self._began = time.monotonic()
        self._offset_s = 0.0
        self._ntp = NtpServer(self._unix)
        self._root, self._dns = folder / "node", folder / "dns"
        self._dns.touch()
        layer, ahead = folder / "layer", folder / "ahead"
        layer.mkdir()
        ahead.mkdir()
        (ahead / "boot.py").write_text("import chaos_flash\n\nchaos_flash.mount()\n")
        (ahead / "chaos_flash.py").write_bytes((REPO / "host_tests/chaos_flash.py").read_bytes())
        self._ahead = [esp32_layer.build(layer), ahead]
        self._node: Life | None = None

    def __enter__(self) -> World:
        self._ntp.__enter__()
        self.packets.__enter__()
        self.bytes = Proxy(self.packets.port, self.speed)
        self.bytes.__enter__()
        self.broker.image(self._root, port=self.bytes.port, **CONFIG)
        self._start("power-on")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._node:
            self._node.kill()
        self.bytes.__exit__()
        self.packets.__exit__()
        self._ntp.__exit__(kind, error, trace)

    def _start(self, reset: str) -> None:
        boot = self.books.boot()

        def on_line(line: str) -> None:
            self._log.write(f"{time.monotonic() - self._began:8.3f} {line}\n")
            self.books.line(boot, line)

        ways = {"speed": self.speed, "ahead": self._ahead, "heap": "512k", "on_line": on_line}
        self._node = Life(self._root, reset, self._dns, self._ntp.address, **ways)
        self._node.start()

    def _unix(self) -> float:
        """Return the time servers' time: that of a day whose seconds are the node's."""
        return 1_900_000_000 + self._offset_s + self.speed * (time.monotonic() - self._began)

    # -- what faults do ----------------------------------------------------------------------------

    def kill(self, reset: str) -> None:
        """Kill the node and start it again."""
        assert self._node
        at = time.monotonic()
        self._node.kill()
        self.books.killed(self.books.boots[-1], at)
        self._start(reset)

    def stop_broker(self) -> None:
        """Stop the broker: nobody listens."""
        self.bytes.refuse()
        if not self._stopped:
            self._stopped = True
            self.broker.stop()

    _stopped = False

    def dns(self, told: str) -> None:
        """Tell the resolver."""
        self.books.dns_slow |= "slow" in told
        _replace(self._dns, told)

    def step_time(self, seconds: float) -> None:
        """Set the time servers ahead."""
        self._offset_s = seconds

    def restore(self) -> None:
        """End every fault that lasts; those that wait for a packet go on waiting."""
        if self._stopped:
            self.broker.start()
            self._stopped = False
        _replace(self._dns, "")
        self.packets.let_through()
        self.bytes.restore()

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds of the node's clock."""
        time.sleep(seconds / self.speed)

    def end(self) -> None:
        """Wait until all is delivered, and stop the node as Ctrl-C does."""
        assert self._node
        self.books.wait_all(RIGHT_S)
        self._node.stop()
        self.books.wait_all(0)

    def note(self, text: str) -> None:
        """Write a line of our own among the node's."""
        self._log.write(f"{time.monotonic() - self._began:8.3f} ---- {text}\n")
        self._log.flush()


def _replace(path: Path, text: str) -> None:
    # The node reads it at any moment: it must never be half there.
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)


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


def broker_of(kind: str, folder: Path) -> RunningBroker:
    """Return a broker of that kind, with a set-up of its own in `folder`, not yet started."""
    brokers.KIND = kind
    setup = Setup(folder / "dev")
    setup.device(fields("node-1"))
    return Mosquitto(setup) if kind == "mosquitto" else Embedded(setup)


def main() -> int:
    """Run it from the command line; returns 0 when nothing was lost."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--broker", choices=("amqtt", "mosquitto"), default="amqtt")
    parser.add_argument("--speed", type=float, default=SPEED)
    asked = parser.parse_args()
    faults = draw(asked.seed, asked.faults)
    console = Console()
    console.print(
        f"{asked.faults} faults, seed {asked.seed}, hash {digest(faults)}; {asked.broker}, "
        f"the node's clock at {asked.speed:g}",
        highlight=False,
    )
    log = BUILD / "chaos" / f"{asked.broker}-{asked.seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    good = False
    with tempfile.TemporaryDirectory(prefix="chaos") as folder, open(log, "w") as file:
        broker = broker_of(asked.broker, Path(folder))
        broker.start()
        try:
            with World(broker, Path(folder), file, asked.speed) as world:
                run = Run(world)
                try:
                    with Progress(console=console) as progress:
                        task = progress.add_task("faults", total=len(faults))
                        run.go(faults, lambda count: progress.advance(task, count))
                    world.end()
                    good = True
                except Stuck as stuck:
                    console.print(f"STUCK: {stuck}", highlight=False)
                except KeyboardInterrupt:
                    console.print("Interrupted. So far:")
                    world.end()
                good &= show(console, run)
        finally:
            broker.close()
    console.print(f"The node's log: {log.relative_to(REPO)}", highlight=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
