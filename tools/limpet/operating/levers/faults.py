"""What goes wrong between node and broker, and the node's power: the levers of faults."""

import threading
import time
from collections.abc import Iterator

from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.node_host.process import NodeProcess
from limpet.operating.levers.held import Held
from limpet.operating.levers.lever import BUTTON, FAULT, SWITCH, Lever, State
from limpet.operating.levers.levers import Pulled
from limpet.operating.levers.relay import Relay
from limpet.shared.problem import Problem

# How long the node of a broker that is back waits for those who listened to it before: they come by
# their own back-off.
LISTENERS_S = 35.0
_LOOK_S = 0.1
_PASS_ON_S = 2.0
_CLOSE_S = 10.0
# How long the node is without power: long enough to be seen.
DARK_S = 1.5

_NETWORK = Lever(
    "network",
    SWITCH,
    FAULT,
    "Network pulled",
    "As if the node's cable were pulled: nothing gets through, and nothing is refused. Readings "
    "wait, on flash after 2 s, and come late when it is plugged in again.",
    ("The network is pulled.", "The network is plugged in again."),
)
_BROKER = Lever(
    "broker",
    SWITCH,
    FAULT,
    "Broker killed",
    "The broker is gone: connections end, and new ones are refused.",
    ("The broker is killed.", "The broker is back."),
)
_OWN = (
    "It has its sessions in memory and comes back without them, so it lets the node in when those "
    "listen again who listened before."
)
_FOREIGN = "It was running before, so it is only the node that is refused; it goes on for others."
_TLS = Lever(
    "tls",
    SWITCH,
    FAULT,
    "TLS stalled",
    "The node's connection is cut, and from then on TCP connects and the handshake never goes on. "
    "The node gives up when its handshake_s are over, and tries again.",
    ("TLS is stalled.", "TLS handshakes go on again."),
)
_POWER = Lever(
    "power",
    BUTTON,
    FAULT,
    "Cut the power",
    "The node is without power for a moment, whatever it was doing, and boots. What is on its "
    "flash stays; Readings of the last 2 s that no broker had acknowledged are lost.",
    ("The power is cut.", ""),
)


class Faults:
    """The way from node to broker through `relay`. broker: the one behind it, where it is ours to
    stop and start.
    """

    def __init__(self, relay: Relay, broker: EmbeddedBroker | None) -> None:
        self._relay = relay
        self._broker = broker
        self._held = Held()
        self._pulled = self._killed = self._stalled = False
        self._listened: set[str] = set()  # when the broker was killed
        self._awaited = False
        self._turn = 0  # counts kills and starts
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._waiting: threading.Thread | None = None

    def pull(self, on: State) -> None:
        """Pull the network, or plug it in."""
        with self._lock:
            self._pulled = bool(on)
            self._settle()
            self._stop_all()

    def stall(self, on: State) -> None:
        """Stall TLS, or let it go on."""
        with self._lock:
            self._stalled = bool(on)
            self._settle()
            self._stop_all()

    def kill(self, on: State) -> None:
        """Kill the broker, or start it. Raises Problem where it does not start."""
        if self._broker and not on:
            self._start(self._broker)
        with self._lock:
            self._killed = bool(on)
            self._awaited = bool(self._listened) and not on
            self._turn += 1
            self._settle()
        if self._broker and on:
            self._stop(self._broker)
        if self._awaited:
            self._waiting = threading.Thread(
                target=self._wait, args=(self._turn,), name="listeners", daemon=True
            )
            self._waiting.start()

    def close(self) -> None:
        """Give back what was held."""
        self._ended.set()
        if self._waiting:
            self._waiting.join(_CLOSE_S)
        self._held.release()

    def _stop(self, broker: EmbeddedBroker) -> None:
        # The node is cut off by now. What the broker has acknowledged is in its memory alone, and
        # it passes that on before it lets go of the node.
        nodes, until = set(broker.layout.bases()), time.monotonic() + _PASS_ON_S
        while not self._pulled and broker.subscribers() & nodes and time.monotonic() < until:
            time.sleep(_LOOK_S)
        time.sleep(_LOOK_S)
        self._listened |= broker.subscribers() - nodes
        broker.stop()
        self._held.hold(broker.port)

    def _start(self, broker: EmbeddedBroker) -> None:
        self._held.release()
        try:
            broker.start()
        except OSError as error:
            self._held.hold(broker.port)
            raise Problem(
                f"The broker does not start: {error.strerror or 'it took too long'}.",
                "Try again, or end `limpet run` and start it anew.",
            ) from None

    def _wait(self, turn: int) -> None:
        """Until those who listened before do so again. A thread of its own."""
        assert self._broker
        until = time.monotonic() + LISTENERS_S
        while not self._ended.wait(_LOOK_S):
            there = self._listened <= self._broker.subscribers()
            with self._lock:
                if self._turn != turn:
                    return  # killed again meanwhile
                if there or time.monotonic() > until:
                    self._awaited = False
                    self._listened = set()
                    self._settle()
                    return

    def _stop_all(self) -> None:
        # A handshake cannot stall where a connection goes on. A pulled cable carries no end.
        if self._stalled and not self._pulled:
            self._relay.cut()

    def _settle(self) -> None:
        # What is held stays so until all that holds it is over; new connections are the business of
        # the nearest fault: who is behind a pulled cable does not learn that nobody listens.
        held = self._pulled or self._stalled or self._awaited
        if held:
            self._relay.hold()
        if self._pulled:
            self._relay.deafen()
        elif self._killed:
            self._relay.refuse()
        else:
            self._relay.listen()
        if not held:
            self._relay.release()

    def levers(self) -> Iterator[Pulled]:
        """The levers of all that."""
        yield Pulled(_NETWORK, self.pull)
        help = f"{_BROKER.help} " + (_OWN if self._broker else _FOREIGN)
        yield Pulled(_BROKER._replace(help=help), self.kill)
        yield Pulled(_TLS, self.stall)


def power(node: NodeProcess) -> Pulled:
    """The lever of a node's power."""

    def cut(on: State) -> None:
        if not node.cut_power(DARK_S):
            raise Problem("The node is not running.", "Wait until it boots, or start it again.")

    return Pulled(_POWER, cut)
