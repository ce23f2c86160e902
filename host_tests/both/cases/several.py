"""Cases of node/session/several: which broker is next, and when."""

from backoff import Backoff
from node.session.several import Several

# MicroPython has no typing; it never looks at an annotation.
if False:
    from typing import Any


class _Client:
    """What is told where to connect to."""

    server, port, clean_session = "a", 8883, False
    ssl_params = {"server_hostname": "a"}  # noqa: RUF012 - as umqtt has it

    def __init__(self) -> None:
        self.received: set = set()


class _Rig:
    """A Link's neighbours, with a clock that is set by hand and chance that is `random`."""

    cause = None  # the network's

    def __init__(self, count: int = 3, random: float = 0.5, name: "str | None" = None) -> None:
        self.now_ms = 0
        self.random = lambda: random
        self.client = _Client()
        if name:
            self.client.ssl_params = {"server_hostname": name}
        self.board = self.clock = self.network = self
        self.past = object()
        self.said: list = []
        self.facts: list = [("fw", "1")]
        more = [("bcd"[number], 8884 + number) for number in range(count - 1)]
        backoff = Backoff(self.random, attempts={"network": 1})
        self.several: Any = Several(self, backoff, more, self.facts, self._log)

    def _log(self, area: str, words: str) -> None:
        self.said.append(words)

    def now(self) -> int:
        return self.now_ms

    def fails(self, kind: str = "network", after_ms: int = 0) -> int:
        """A try that took so long is in vain; the wait, after which the next one begins."""
        self.now_ms += after_ms
        wait: int = self.several.next_ms(kind)
        self.now_ms += wait
        return wait

    def ends(self, up_ms: int, kind: str = "network") -> int:
        """A connection ends that was up for so long."""
        self.several.rested(up_ms)
        return self.fails(kind, up_ms)

    @property
    def at(self) -> str:
        return self.client.server


def case_each_is_tried_at_once_and_then_waited_for() -> None:
    """After a try in vain the next one comes without a wait; who was tried waits its own time, and
    the one that is due first is next.
    """
    rig = _Rig()
    assert (rig.fails(), rig.at) == (0, "b")
    assert (rig.fails(), rig.at) == (0, "c")
    # Half of 4 s, as they begin with one attempt put back; then half of 8 s.
    assert (rig.fails(), rig.at) == (2000, "a")
    assert (rig.fails(), rig.at) == (0, "b")
    assert (rig.fails(), rig.at) == (0, "c")
    assert (rig.fails(), rig.at) == (4000, "a")


def case_a_slow_one_hides_no_other() -> None:
    """Where each try takes longer than the others have to wait, they are still tried in turn."""
    rig = _Rig()
    found = []
    for _ in range(9):
        rig.fails("network", 20000)
        found.append(rig.at)
    assert found == ["b", "c", "a"] * 3


def case_a_refusal_keeps_nobody_waiting() -> None:
    """What a person has to mend at one broker is asked about once a minute; the other one is tried
    as often as ever meanwhile.
    """
    rig = _Rig(2)
    assert (rig.fails("refused"), rig.at) == (0, "b")
    tries = 0
    while rig.at == "b":
        rig.fails()
        tries += 1
    assert 60000 <= rig.now_ms < 90000
    assert tries >= 4


def case_all_away_is_no_busy_loop() -> None:
    """In an hour each is tried about as often as if it were alone."""
    rig, tries = _Rig(), 0
    while rig.now_ms < 3_600_000:
        rig.fails("network", 1)
        tries += 1
    assert 3 * 115 < tries < 3 * 130  # half a minute between two


def case_an_end_begins_the_order_anew() -> None:
    """Where a connection was up, the first one is next, whichever it was with; never at once."""
    rig = _Rig()
    rig.fails()
    rig.fails()
    assert rig.at == "c"
    wait = rig.ends(3_600_000)
    assert (rig.at, wait) == ("a", 1000)
    # The first serves: it is the first again, and only then the second.
    assert (rig.ends(3_600_000), rig.at) == (1000, "a")
    assert (rig.fails(), rig.at) == (0, "b")


def case_who_comes_together_is_spread() -> None:
    """The next broker is not stormed by all who lost the first: not even where that has a long
    wait, be it because it was refused.
    """
    rig = _Rig(2)
    wait = rig.ends(1000, "refused")
    assert (rig.at, wait) == ("b", 1000)
    rig = _Rig(2, random=0.999)
    assert (rig.ends(1000), rig.at) == (1998, "b")  # the first's own wait is 3,996 ms


def case_a_rival_is_not_met_elsewhere() -> None:
    """Who throws this node out has the same list: the fight would only go on at the next one."""
    rig = _Rig(2)
    assert rig.ends(1000, "rival") >= 300_000


def case_without_wifi_no_broker_is_to_blame() -> None:
    """Wi-Fi that goes during a try does not move the node to the next one."""
    rig = _Rig()
    rig.cause = "no-ap"  # type: ignore[assignment]
    rig.fails()
    assert rig.at == "a"


def case_what_is_known_stays_with_its_broker() -> None:
    """What one refuses, what its session has delivered, and that this one is to be given up, says
    nothing of another.
    """
    rig = _Rig(2)
    known, delivered = rig.past, rig.client.received
    delivered.add(7)
    rig.client.clean_session = True
    rig.fails()
    assert rig.at == "b"
    assert rig.client.clean_session is False
    assert rig.past is not known
    assert rig.client.received == set()
    rig.client.received = {9}  # as a new session makes it
    rig.fails()
    assert rig.at == "a"
    assert rig.past is known
    assert rig.client.received is delivered
    assert rig.client.clean_session is True
    rig.fails()
    assert rig.client.received == {9}


def case_client_is_told_all_of_it() -> None:
    """Host, port, and the name in the certificate: the host's own, unless one is given for all."""
    rig = _Rig(2)
    rig.fails()
    assert (rig.client.server, rig.client.port) == ("b", 8884)
    assert rig.client.ssl_params == {"server_hostname": "b"}
    rig.fails()
    assert (rig.client.server, rig.client.port) == ("a", 8883)
    assert rig.client.ssl_params == {"server_hostname": "a"}
    rig = _Rig(2, name="broker.example")
    rig.fails()
    assert rig.client.ssl_params == {"server_hostname": "broker.example"}


def case_birth_and_log_say_which() -> None:
    """From the start on, and at each turn; what else the birth says stays."""
    rig = _Rig(2)
    assert rig.facts == [("fw", "1"), ("broker", 1)]
    rig.fails()
    assert rig.facts == [("fw", "1"), ("broker", 2)]
    assert rig.said == ["next broker=1 host=a port=8883", "next broker=2 host=b port=8884"]


def case_attempts_are_those_of_the_best() -> None:
    """What is kept for the next boot is of the broker that it may ask first: one that is dead for
    days makes no boot wait.
    """
    rig = _Rig(2)
    for _ in range(12):
        rig.fails()
    assert rig.several.attempts["network"] > 4
    while rig.at != "b":
        rig.fails()
    rig.ends(3_600_000)  # the second was up for an hour, which halves its count to nothing
    assert rig.several.attempts["network"] <= 1
