"""One look at a broker as an operator: connect, subscribe, publish, and have it back.

It ends in time, whatever the broker does or does not: the steps are taken on a thread of their own,
which is left where it hangs. No device is touched. What is published is a Command to a device that
cannot exist, as no device may have an operator's name; so it needs no right that operators have
not got anyway, and nothing is retained.
"""

import json
import secrets
import socket
import threading
import time
from dataclasses import dataclass, field

from limpet.brokers.rules import BROKER_FIGURES, organisations
from limpet.doctor.live import parsed
from limpet.identity import authority
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.shared.firmware import topics
from limpet.shared.problem import Problem

# The whole command within 5 s, of which its own start takes one.
LIMIT_S = 3.5
# Of that at most, for what the broker says of itself once all else is done,
FIGURES_S = 1.0
# and for a goodbye.
CLOSE_S = 0.3
# A thread that was left behind ends by then.
GIVE_UP_S = 10.0
STEPS = ("name", "TCP", "TLS", "login", "subscribe", "publish", "round trip")

_SILENT = {
    "name": ("The name {host} is not resolved.", "See to the name server, or give an address."),
    "TCP": (
        "Nothing comes back from {where}, not even a refusal.",
        "Is that host on, and the port open in its firewall?",
    ),
    "TLS": (
        "{where} takes the connection and does not answer TLS.",
        "Is that a broker's port with TLS? If it is, the broker hangs: restart it.",
    ),
    "login": ("{where} does not greet.", "Is it an MQTT broker? If it is, it hangs: restart it."),
    "subscribe": (
        "{where} does not answer the subscription.",
        "It hangs: read its log, and restart it.",
    ),
    "publish": (
        "{where} does not acknowledge what is published.",
        "It hangs, or its disk is full: read its log.",
    ),
    "round trip": (
        "{where} acknowledged a Message and did not deliver it.",
        "Its rights may be older than the fleet's: limpet fleet list says so. Else restart it.",
    ),
}


@dataclass
class Seen:
    """What was seen of a broker. Times are seconds, ends Unix seconds.

    took: each step that was done. failed: the one that was not, with cause and remedy. said: what
    it says of itself, payload by topic.
    """

    where: str = ""
    name: str = ""
    took: dict[str, float] = field(default_factory=dict)
    failed: tuple[str, Problem] | None = None
    server_ends: float | None = None
    own_ends: float | None = None
    said: dict[str, bytes] = field(default_factory=dict)


class Probe:
    """A look at the broker of `where`, whose fleet is settled: that of `device`, if one is named.
    `look()` once; from any thread.

    Making it raises Problem where the fleet has no device, or no identity to ask with.
    """

    def __init__(self, where: Where, device: str | None = None) -> None:
        self._seen = Seen()
        self._heard = threading.Condition()
        self._back_at: float | None = None
        self._client = OperatorClient(
            where, self._arrived, self._lost, device=device, on_step=self._did
        )
        # One broker is looked at: the first one, where none is named.
        self.others = self._client.brokers[1:]
        del self._client.brokers[1:]
        self._name = self._client.identity.name
        org = organisations(self._client.info.bases)[0]
        self.topic = f"{org}/limpet/limpet/health/{self._name}/{topics.COMMANDS}"
        said = {"id": secrets.token_hex(8), "action": "health-check"}
        self._payload = json.dumps(said, separators=(",", ":")).encode()
        self._worked = threading.Event()  # or failed
        self._since = time.monotonic()

    def look(self, limit_s: float = LIMIT_S) -> Seen:
        """Take the steps; return what was seen within `limit_s` and CLOSE_S."""
        until = time.monotonic() + limit_s
        self._seen.where = f"{self._client.host}:{self._client.port}"
        self._seen.name = self._name
        thread = threading.Thread(target=self._take, name="probe", daemon=True)
        self._since = time.monotonic()
        thread.start()
        if not self._worked.wait(limit_s):
            self._fail(self._silence(limit_s))
        thread.join(min(max(until - time.monotonic(), 0) + CLOSE_S, FIGURES_S + CLOSE_S))
        return self._seen

    def _fail(self, problem: Problem) -> None:
        """The step that is being taken has failed, unless one has before, or all are done."""
        with self._heard:
            if self._seen.failed is None and not self._worked.is_set():
                self._seen.failed = (self._step(), problem)
                self._worked.set()

    def _silence(self, limit_s: float) -> Problem:
        cause, remedy = _SILENT[self._step()]
        at = {"where": self._seen.where, "host": self._client.host}
        return Problem(f"{cause.format(**at)} All steps have {limit_s:g} s.", remedy)

    def _lost(self, text: str) -> None:
        remedy = "Read its log: it says whom it throws out, and why."
        self._fail(Problem(f"{self._seen.where} closes the connection.", remedy))

    def _step(self) -> str:
        left = (each for each in STEPS if each not in self._seen.took)
        return next(left, STEPS[-1])

    def _did(self, step: str, at: float | None = None) -> None:
        now = time.monotonic() if at is None else at
        with self._heard:
            # It comes back by itself where a connection is lost: those are no steps of ours.
            if self._seen.failed is None and step not in self._seen.took:
                self._seen.took[step] = max(now - self._since, 0.0)
                self._since = now

    # On the thread.

    def _take(self) -> None:
        try:
            if self._steps():
                self._worked.set()
                self._ask_figures()
        except Problem as problem:
            self._fail(problem)
        except (OSError, RuntimeError, ValueError) as error:  # of a connection that is gone
            self._fail(Problem(f"{self._seen.where} is lost: {error}.", "Read its log."))
        self._client.close()

    def _steps(self) -> bool:
        client = self._client
        try:
            socket.getaddrinfo(client.host, client.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise Problem(f"No host is called {client.host}.", "Name another BROKER.") from None
        self._did("name")
        client.connect()
        self._seen.server_ends = client.server_ends()
        certificate = authority.load_certificate(client.identity.cert)
        self._seen.own_ends = certificate.not_valid_after_utc.timestamp()
        client.subscribe([self.topic])
        self._did("subscribe")
        sent = client.publish(self.topic, self._payload)
        start = self._since
        sent.wait_for_publish(GIVE_UP_S)
        if not sent.is_published():
            return False
        self._did("publish")
        with self._heard:
            if not self._heard.wait_for(lambda: self._back_at is not None, GIVE_UP_S):
                return False
        # Of the whole way, not from the acknowledgement on: that may come behind it.
        self._since = start
        self._did("round trip", self._back_at)
        return True

    def _ask_figures(self) -> None:
        until = time.monotonic() + FIGURES_S
        try:
            self._client.subscribe([BROKER_FIGURES])
        except Problem:  # a broker without any, such as RabbitMQ
            return
        with self._heard:
            wanted = set(parsed.WANTED)
            self._heard.wait_for(
                lambda: wanted <= self._seen.said.keys(), max(until - time.monotonic(), 0)
            )

    def _arrived(self, arrival: Arrival) -> None:
        with self._heard:
            if arrival.topic.startswith("$"):
                self._seen.said[arrival.topic] = arrival.payload
            elif arrival.topic == self.topic and arrival.payload == self._payload:
                self._back_at = arrival.at
            self._heard.notify_all()
