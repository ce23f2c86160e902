"""The world of a chaos run: the node, the broker, the proxies, DNS and time between them.

The node is the real one, on the real interpreter, over the ESP32's sockets (esp32/) and a littlefs
that forgets what was not synced (flash.py). Its clock runs fast, because most of what it does
about a fault is to wait.

A power cut is a SIGKILL. On a folder of the laptop's it would lose nothing that was written, which
the kernel has: it would stand for a reset. On that littlefs it loses what a chip could lose at
worst, and more than a chip's reset does, which leaves flash alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, TextIO

from limpet.identity.authority import load
from limpet.identity.operators import operator_identity
from limpet.node_host.process import NodeProcess
from support.brokers.running import RunningBroker, base
from support.chaos.books import Books
from support.micropython import esp32_layer
from support.ntp_server import NtpServer
from support.proxies.packet_proxy import PacketProxy
from support.proxies.proxy import Proxy

SPEED = 50.0
# The least, or near it, that the config allows: a handshake in 40 s is one in 0.8 real seconds. All
# that is not named here is as a user has it.
CONFIG: dict[str, Any] = {
    "broker": "localhost",
    "server_hostname": "127.0.0.1",
    "interval_s": 2,
    "keepalive_s": 10,
    "handshake_s": 40,
    "commit_after_s": 4,
}
_COMMANDS = f"{base()}/commands"
# Real seconds for all that is left to be delivered at the end.
END_S = 30.0


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
        self._offset_s = self._lie_s = 0.0
        self._retained = False  # whether a Command is
        self._ntp = NtpServer(self._unix)
        self._root, self._dns = folder / "node", folder / "dns"
        self._dns.touch()
        layer, ahead = folder / "layer", folder / "ahead"
        layer.mkdir()
        ahead.mkdir()
        (ahead / "boot.py").write_text("import chaos_flash\n\nchaos_flash.mount()\n")
        source = Path(__file__).with_name("flash.py")
        (ahead / "chaos_flash.py").write_bytes(source.read_bytes())
        self._ahead = [esp32_layer.build(layer), ahead]
        self._node: Life | None = None
        self._stopped = False  # the broker
        lease = self._lease = operator_identity(broker.setup.layout.root)
        self._identity = load(lease.key, lease.cert)
        self._listen()

    def __enter__(self) -> World:
        self._ntp.__enter__()
        self.packets.__enter__()
        self.bytes = Proxy(self.packets.port, self.speed)
        self.bytes.__enter__()
        self.broker.image(self._root, port=self.bytes.port, **CONFIG)
        self._start("power-on")
        return self

    def __exit__(self, *_: object) -> None:
        if self._node:
            self._node.kill()
        self.bytes.__exit__()
        self.packets.__exit__()
        self._ntp.__exit__()
        self._operator.close()
        self._lease.release()

    def _listen(self) -> None:
        """Have an operator listen: before the node comes, so that it misses nothing."""
        self._operator = self.broker.client(
            name=self._lease.name, identity=self._identity
        ).connect()
        self._operator.subscribe("limpet/+/+/+/+/telemetry/#")

    def _hear_out(self) -> None:
        """Enter what the operator got, once it has all that was acknowledged or 2 s have gone by.

        What it lacks then is the broker's doing, and is counted.
        """
        deadline = time.monotonic() + 2
        while True:
            for message in self._operator.seen("#")[self._heard :]:
                self.books.got(message.payload)
                self._heard += 1
            if not self.books.unseen() or time.monotonic() > deadline:
                return
            time.sleep(0.01)

    _heard = 0  # Messages of this operator's that are entered

    def _start(self, reset: str) -> None:
        boot = self.books.boot("slow" in self._dns.read_text())

        def on_line(line: str) -> None:
            self._log.write(f"{time.monotonic() - self._began:8.3f} {line}\n")
            self.books.line(boot, line)

        ways = {"speed": self.speed, "ahead": self._ahead, "heap": "512k", "on_line": on_line}
        self._node = Life(self._root, reset, self._dns, self._ntp.address, **ways)
        self._node.start()

    def _unix(self) -> float:
        """Return the time servers' time: that of a day whose seconds are the node's."""
        ahead_s = self._offset_s + self._lie_s
        return 1_900_000_000 + ahead_s + self.speed * (time.monotonic() - self._began)

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
            self._hear_out()
            self._operator.close()
            self.broker.stop()

    def crash_broker(self) -> None:
        """Kill the broker, in the middle of what it does."""
        if not self._stopped:
            self._stopped = True
            self._hear_out()
            self.broker.crash()
            self._operator.close()
        self.bytes.refuse()

    def fill_disk(self) -> None:
        """The broker's disk is full."""
        self.broker.fill_disk()

    def command(self, number: int, retain: bool, action: str, **params: int) -> None:
        """Send the node a Command, if there is a broker to send it to."""
        if self._stopped:
            return
        self._retained |= retain
        told = {"id": f"{'retained' if retain else 'chaos'}-{number}", "action": action}
        self._operator.publish(_COMMANDS, told | {"params": params}, retain=retain)

    def lie(self, seconds: float) -> None:
        """Have the time servers say so much too much."""
        self._lie_s = seconds

    def dns(self, told: str) -> None:
        """Tell the resolver."""
        self.books.dns_slow |= "slow" in told
        _replace(self._dns, told)

    def step_time(self, seconds: float) -> None:
        """Set the time servers ahead."""
        self._offset_s = seconds

    def restore(self) -> None:
        """End every fault that lasts; those that wait for a packet go on waiting."""
        self.broker.empty_disk()
        self._lie_s = 0
        if self._stopped:
            self.broker.start()
            self._heard = 0
            self._listen()
            self._stopped = False
        if self._retained:
            self._operator.publish(_COMMANDS, b"", retain=True)
            self._retained = False
        _replace(self._dns, "")
        self.packets.let_through()
        self.bytes.restore()

    def pause(self, seconds: float) -> None:
        """Wait for so many seconds of the node's clock."""
        time.sleep(seconds / self.speed)

    def end(self) -> None:
        """Wait until all is delivered, and stop the node as Ctrl-C does."""
        assert self._node
        self.books.wait_all(END_S)
        self._node.stop()
        self._hear_out()

    def note(self, text: str) -> None:
        """Write a line of our own among the node's."""
        self._log.write(f"{time.monotonic() - self._began:8.3f} ---- {text}\n")
        self._log.flush()


def _replace(path: Path, text: str) -> None:
    # The node reads it at any moment: it must never be half there.
    scratch = path.with_suffix(".new")
    scratch.write_text(text)
    scratch.replace(path)
