"""`limpet doctor --follow`: what is told as it happens, by brokers that run, and by hand."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers import capacity as formula
from limpet.brokers.capacity import Limits
from limpet.doctor import capacity, follow
from limpet.doctor.figures import Numbers, Refusal
from limpet.doctor.follow import Follower, Teller
from limpet.doctor.live.listening import Listening
from limpet.doctor.live.log_lines import Tail
from limpet.doctor.live.strangers import MOST, Strangers
from limpet.doctor.probe import Probe
from limpet.identity.layout import Layout
from limpet.operating.where import Where
from limpet.shared.problem import Problem
from support.brokers import matrix
from support.brokers.following import WAIT_S, Followed, served_by
from support.tool import Tool

LOOK_S = 0.3


@dataclass
class Said:
    """What `follow` has said, a line of JSON each."""

    events: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def say(self, event: str, level: str, text: str, remedy: str = "", **more: Any) -> None:
        """Note it, as Teller.say prints it."""
        said = {"event": event, "level": level, "text": text} | more
        with self.changed:
            self.events.append(json.loads(json.dumps(said)))
            self.changed.notify_all()

    def until(self, fits: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait for an event, and return it."""

        def found() -> dict[str, Any] | None:
            return next((each for each in self.events if fits(each)), None)

        with self.changed:
            assert self.changed.wait_for(found, WAIT_S), self.events
        event = found()
        assert event
        return event


@contextmanager
def _following(
    there: Followed, monkeypatch: pytest.MonkeyPatch, log: Path | None = None
) -> Iterator[Said]:
    """Follow a broker that runs, on a thread, until the block ends."""
    said, ended = Said(), threading.Event()
    monkeypatch.setattr(follow, "Teller", lambda as_json: said)
    monkeypatch.setattr(follow.ending, "lost", ended.is_set)
    where = Where(there.root, port=there.plan.port)
    thread = threading.Thread(
        target=follow.follow, args=(where, "", there.url, log), kwargs={"look_s": LOOK_S}
    )
    thread.start()
    try:
        said.until(lambda each: each["event"] == "follows")
        yield said
    finally:
        ended.set()
        thread.join(WAIT_S)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "kind", ["nats", "mosquitto", pytest.param("rabbitmq", marks=[pytest.mark.long])]
)
def test_a_running_broker(
    kind: str,
    followed: dict[str, Followed],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """A refused login, by name where the broker says it; connections above their warning, and
    below again; a device that is let in and in no registry. And `limpet capacity --live`, of the
    same one, as RabbitMQ takes long to start.
    """
    there = served_by(followed, kind)
    if there.url:
        _its_figures(there, monkeypatch, capsys)
    few = Few()
    monkeypatch.setattr(follow, "limits_of", lambda layout, kind: few.limits)
    device = there.says_something()
    with there.log(tmp_path) as log, _following(there, monkeypatch, log) as said:
        worse = said.until(lambda each: each["event"] == "figure")
        assert worse["name"] in ("connections", "memory")
        assert (worse["level"], worse["was"]) == ("critical", "ok")
        there.refuse_by_tls()
        if kind == "mosquitto":
            stranger = there.client("node-9").connect()
            login = said.until(lambda each: each["event"] == "unknown-device")
            assert login["who"] == "node-9"
            stranger.close()
        else:
            there.refuse("node-9")
            refused = said.until(lambda each: each.get("who") == "node-9")
            assert refused["event"] == "refused-login"
        tls = said.until(lambda each: each["event"] == "refused-login" and each["who"] != "node-9")
        assert "certificate" in tls["text"].lower() or "tls" in tls["text"].lower()
        few.limits = formula.limits(50)
        over = said.until(lambda each: each["event"] == "figure" and each["level"] == "ok")
        assert over["was"] == "critical"
        assert over["text"].endswith("critical is over")
    device.close()


def _its_figures(
    there: Followed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All that its page has is judged, and is well, until somebody was refused."""
    monkeypatch.setattr(Probe.look, "__defaults__", (WAIT_S,))
    monkeypatch.setattr(capacity, "LISTEN_S", 0.2)
    device = there.says_something()
    # RabbitMQ counts connections anew every five seconds.
    assert there.page_says(lambda said: bool(said.connections))
    live: dict[str, Any] = {"live": True, "port": there.plan.port, "figures": there.url}
    code = capacity.capacity(**live, fleet=there.root, as_json=True)
    out, err = capsys.readouterr()
    assert out, err
    found = {each["name"]: each for each in json.loads(out)["figures"]}
    assert found["connections"]["value"] >= 1
    assert found["memory"]["value"] > 1_000_000
    names = {"connections", "memory", "in flight", "Messages", "refused logins", "unknown devices"}
    names |= {"retained"} if there.running.kind == "nats" else {"dropped"}
    assert found.keys() == names
    assert code == (0 if found["refused logins"]["level"] == "ok" else 1)
    device.close()
    there.refuse("node-9")
    assert there.page_says(lambda said: bool(said.refused_hour))


@dataclass
class Few:
    """Limits that are met by one connection and any memory, until there are others. NATS has a
    limit of connections of its own, and RabbitMQ one of memory.
    """

    limits: Limits = field(
        default_factory=lambda: replace(formula.limits(0), connections=1, memory_bytes=1)
    )


def test_a_device_that_nobody_knows(
    followed: dict[str, Followed], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It speaks, as the broker's files are those of before it was taken out; then it is known."""
    there = served_by(followed, "nats")
    bases = dict(there.setup.layout.bases())
    monkeypatch.setattr(
        Layout, "bases", lambda layout: {k: v for k, v in bases.items() if k != matrix.NEIGHBOUR}
    )
    with _following(there, monkeypatch) as said:
        client = there.client(matrix.NEIGHBOUR).connect()
        client.publish(f"{matrix.base(matrix.NEIGHBOUR)}/telemetry", "1")
        unknown = said.until(lambda each: each["event"] == "unknown-device")
        assert (unknown["base"], unknown["level"]) == (matrix.base(matrix.NEIGHBOUR), "warning")
        monkeypatch.setattr(Layout, "bases", lambda layout: bases)
        over = said.until(lambda each: each["event"] == "unknown-device" and each["level"] == "ok")
        assert over["base"] == matrix.base(matrix.NEIGHBOUR)
        client.close()


class Pages:
    """A page of figures that says what it is told to, or raises it."""

    kind = "nats"

    def __init__(self) -> None:
        self.said: Numbers | Problem = Numbers()

    def numbers(self) -> Numbers:
        """Return it, as Monitor.numbers."""
        if isinstance(self.said, Problem):
            raise self.said
        return self.said


class Nobody:
    """A broker on which nobody speaks; sys: what it says below `$SYS`; more: how many Messages came
    from strangers beyond those with names.
    """

    sys = Numbers()
    more = 0

    def numbers(self) -> Numbers:
        """Return what it says of itself by MQTT."""
        return self.sys

    def over(self, since: float) -> list[str]:
        """Nobody is."""
        return []

    def strangers(self) -> tuple[list[str], int]:
        """Return none, and so many Messages of further ones."""
        return [], self.more


@pytest.fixture
def by_hand(tmp_path: Path) -> tuple[Follower, Pages, Said]:
    """Return one that looks when it is told to."""
    pages, said = Pages(), Said()
    tail = Tail(tmp_path / "log")
    layout = Layout(tmp_path)
    made = Follower(layout, Nobody(), pages, tail, said)  # type: ignore[arg-type]
    return made, pages, said


def test_twice_the_usual(by_hand: tuple[Follower, Pages, Said]) -> None:
    """Ten minutes at 10 a second, then 30 for five, then 10: told once, and its end once."""
    follower, pages, said = by_hand
    count = 0.0
    for second in range(0, 1200, 10):
        count += 10 * (30 if 600 <= second < 900 else 10)
        pages.said = Numbers(connections=1, received=count)
        follower.look(float(second))
    (more, less) = said.events
    assert (more["name"], more["level"], less["level"]) == ("Messages", "warning", "ok")
    assert "usual are 10.00, over 10 minutes" in more["text"]


def test_figures_that_go_away(by_hand: tuple[Follower, Pages, Said]) -> None:
    """Told once, however often they are looked for; and once when they are back."""
    follower, pages, said = by_hand
    pages.said = Problem("Nothing answers.", "Start it.")
    for each in range(5):
        follower.look(float(each))
    pages.said = Numbers(connections=1)
    for each in range(5, 9):
        follower.look(float(each))
    assert [(each["event"], each["level"]) for each in said.events] == [
        ("figures", "warning"),
        ("figures", "ok"),
    ]


def test_a_connection_that_goes_away(by_hand: tuple[Follower, Pages, Said]) -> None:
    """As OperatorClient says it."""
    follower, _, said = by_hand
    follower.heard("change", "connection lost, trying again")
    follower.heard("change", "connected again")
    assert [each["level"] for each in said.events] == ["critical", "ok"]


def test_strangers_beyond_those_with_names(
    by_hand: tuple[Follower, Pages, Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Told once that there are any, then once a minute how many Messages more came from them."""
    follower, pages, said = by_hand
    pages.said = Numbers(connections=1)
    for second, more in ((0.0, 0), (10.0, 40), (20.0, 206), (30.0, 206)):
        monkeypatch.setattr(Nobody, "more", more)
        follower.look(second)
    (first,) = said.events
    assert (first["event"], first["level"]) == ("unknown-device", "warning")
    assert first["text"].endswith(f"beyond the {MOST} that were named")
    follower.read_log(71.0)
    assert (said.events[1]["event"], said.events[1]["count"]) == ("repeated", 205)
    follower.look(80.0)
    assert len(said.events) == 2


def test_files_of_another_broker(
    by_hand: tuple[Follower, Pages, Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says all below `$SYS` is not asked for a page that it has not got."""
    follower, pages, said = by_hand
    pages.said = Problem("Nothing answers.", "Start it.")
    monkeypatch.setattr(Nobody, "sys", Numbers(connections=1_000))
    follower.look(0.0)
    (event,) = said.events
    assert (event["event"], event["name"], event["level"]) == ("figure", "connections", "critical")
    follower.page_is_named = True
    follower.look(1.0)
    assert said.events[-1]["text"] == "Nothing answers."


def test_refused_logins_by_page(by_hand: tuple[Follower, Pages, Said]) -> None:
    """Those of before are not told; each kind once, then counted once a minute; by number where
    there are no names; a broker that has started anew counts anew.
    """
    follower, pages, said = by_hand
    old = Refusal("node-8", "Authentication Failure", 3)
    pages.said = Numbers(connections=1, refusals=(old,), refused=5)
    follower.look(0.0)
    assert said.events == []
    again = [Refusal("node-9", "Authentication Failure", number) for number in range(4, 34)]
    pages.said = Numbers(connections=1, refusals=(old, *again), refused=5)
    follower.look(1.0)
    assert [each["who"] for each in said.events] == ["node-9"]
    follower.read_log(30.0)
    assert len(said.events) == 1
    follower.read_log(62.0)
    assert said.events[1]["text"].startswith("29 more: refused login of node-9")
    pages.said = Numbers(connections=1, refused=8)
    follower.look(63.0)
    pages.said = Numbers(connections=1, refused=0)
    follower.look(64.0)
    pages.said = Numbers(connections=1, refused=2)
    follower.look(65.0)
    assert [each["event"] for each in said.events] == ["refused-login", "repeated", "refused-login"]


def test_it_is_a_command(followed: dict[str, Followed]) -> None:
    """In a process of its own: lines of JSON, Ctrl-C, a pipe that is closed, a broker that is
    away.
    """
    there = served_by(followed, "nats")
    port, url = str(there.plan.port), str(there.url)
    words = ("doctor", "--follow", "--json", "--fleet", there.root, "--port", port)
    with Tool(*words, "--figures", url) as tool:
        tool.wait_for('"event": "follows"')
        tool.interrupt()
        assert tool.end() == 0
        for line in tool.text.splitlines():
            assert json.loads(line).keys() >= {"ts", "event", "level", "text"}


def test_for_a_person(capsys: pytest.CaptureFixture[str]) -> None:
    """What steers a terminal does not come through; the remedy stands below."""
    teller = Teller(as_json=False, now=lambda: 0.0)
    teller.say("refused-login", "warning", "refused login of \x1b[2J: x", "See to it.")
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("warning   refused login of \\x1b[2J: x")
    assert second.strip() == "See to it."


def test_strangers_are_bounded() -> None:
    """Made-up names take no more than MOST, the rest is counted; silent ones are forgotten."""
    found = Strangers({"node-1": "o/s/z/t/node-1"}, {"operator"})
    assert found.take("o/s/z/t/node-1/status", 0.0) is None
    assert found.take("o/time", 0.0) is None
    assert found.take("o/s/z/t/node-9/commands", 0.0) is None
    assert found.take("o/s/z/health/operator/status", 0.0) is None
    for number in range(3 * MOST):
        found.take(f"o/s/z/t/x-{number}/commands/response", float(number))
    assert (len(found.names()), found.more) == (MOST, 2 * MOST)
    assert found.take("o/s/z/t/x-0/status", 500.0) is None
    assert found.silent(100.0)[0] == "o/s/z/t/x-1"
    assert found.names() == ["o/s/z/t/x-0"]
    assert found.take("o/s/z/t/x-1/status", 501.0) == "o/s/z/t/x-1"


def test_listening_needs_a_broker(followed: dict[str, Followed]) -> None:
    """One that is away is a Problem, and leaves no identity leased."""
    root = served_by(followed, "nats").root
    for _ in range(10):
        with pytest.raises(Problem), Listening(Where(root, port=1)):
            pass


def test_a_remedy_fits_every_call(followed: dict[str, Followed]) -> None:
    """Verbs name a broker as a word or as an option, which may have been given: none is named."""
    root = served_by(followed, "nats").root
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        def answer() -> None:
            taken, _ = other.accept()
            with taken:
                taken.recv(4096)
                taken.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for where, cause in (
            (Where(root, "127.0.0.1", port), "does not speak TLS"),
            (Where(root, "127.0.0.1", 1), "There is no broker"),
            (Where(root, "none.invalid"), "No host is called"),
        ):
            with pytest.raises(Problem, match=cause) as found, Listening(where):
                pass
            assert found.value.remedy
            assert "--" not in found.value.remedy
        thread.join(WAIT_S)
