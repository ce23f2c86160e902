"""The WebSocket: what browsers are told, slow ones among them, and while the broker is away."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

from limpet.identity.provisioning import Setup
from limpet.operating.levers.lever import SWITCH, Lever
from limpet.operating.levers.levers import Levers, Pulled
from limpet.page import commanding
from limpet.page.serving import hub
from limpet.shared import private
from support.brokers.running import RunningBroker, base, fields
from support.page_here import hear, page_here, reading, said

T = "t"


def test_first_all_then_what_changes(setup: Setup) -> None:
    """hello, all cards, and from then on whole cards of what has changed."""
    with page_here(setup) as (page, visitor), visitor.live() as live:
        hello = live.until(lambda frame: frame[T] == "hello")
        assert (hello["fleet"], hello["rights"], hello["store"]) == ("here", "operate", False)
        assert {each["action"] for each in hello["actions"]} == set(commanding.commands.TABLE)
        cards = live.until(lambda frame: frame[T] == "cards")
        assert (cards["all"], cards["last"]) == (True, True)
        assert {each["id"] for each in cards["cards"]} == set(page.model.bases)
        hear(page, said("telemetry", reading(1, temperature=31.5)))
        frame = live.until(lambda frame: frame[T] == "cards", before=False)
        assert not frame["all"]
        assert [each["values"] for each in frame["cards"]] == [{"temperature": 31.5}]


def test_pieces() -> None:
    """A long list comes in pieces; the first says that it begins, the last that it ends."""
    pieces = [json.loads(each) for each in hub._pieces((str(i) for i in range(600)), True)]
    assert [(each["all"], each["last"], len(each["cards"])) for each in pieces] == [
        (True, False, 250),
        (False, False, 250),
        (False, True, 100),
    ]
    (empty,) = [json.loads(each) for each in hub._pieces((), True)]
    assert (empty["all"], empty["last"], empty["cards"]) == (True, True, [])


def test_watching(setup: Setup) -> None:
    """Who watches a device gets what it has said before, and what it says; others do not."""
    with page_here(setup) as (page, visitor), visitor.live() as live, visitor.live() as other:
        hear(page, said("alerts", {"ts": 5, "alert": "sensor", "state": "raised"}))
        live.say(t="watch", id="node-1")
        events = live.until(lambda frame: frame[T] == "events")["events"]
        assert [each["text"] for each in events] == ["sensor raised"]
        hear(page, said("telemetry", reading(7)))
        rows = live.until(lambda frame: frame[T] == "readings")["rows"]
        assert [row[2] for row in rows] == [7]
        hear(page, said("health", {"ts": 9, "up": 3, "interval_s": 60, "heap": 5000}))
        node = live.until(lambda frame: frame[T] == "node" and frame["health"])
        assert (node["interval_s"], node["health"]["heap"]) == (60, 5000)
        # Of a device that nobody watches, status and alerts are said to all.
        hear(page, said("telemetry", reading(8), "node-2"))
        hear(page, said("status", {"status": "offline", "boot": 1, "session": 1}, "node-2"))
        other.until(lambda frame: frame[T] == "event" and frame["id"] == "node-2")
        live.until(lambda frame: frame[T] == "event" and frame["id"] == "node-2")
        assert {frame[T] for frame in other.frames} <= {"hello", "cards", "event", "broker"}
        other.say(t="watch", id="node-1")
        trend = other.until(lambda frame: frame[T] == "node")["trend"]
        assert [value for _, value in trend["heap"]] == [5000]
        live.say(t="watch", id=None)
        other.say(t="watch", id="node-2")
        other.until(lambda frame: frame[T] == "node" and frame["id"] == "node-2")
        other.say(t="watch", id=None)
        live.say(t="topics", on=True)
        topics = live.until(lambda frame: frame[T] == "topics")
        assert f"{base()}/telemetry" in [each["topic"] for each in topics["topics"]]
        deadline = time.monotonic() + 60
        while page.model.watched:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_watching_what_is_not_there_yet(setup: Setup) -> None:
    """A device is shown when it is registered, and again when it has gone and comes back."""
    with page_here(setup) as (page, visitor), visitor.live() as live:
        live.say(t="watch", id="node-3")
        live.say(t="topics", on=True)
        live.until(lambda frame: frame[T] == "topics")
        assert not [frame for frame in live.frames if frame[T] == "node"]
        registry = setup.layout.registry
        without = registry.read_bytes()
        setup.device(fields("node-3"))
        live.until(lambda frame: frame[T] == "node" and frame["id"] == "node-3")
        hear(page, said("telemetry", reading(1), "node-3"))
        assert live.until(lambda frame: frame[T] == "readings")["id"] == "node-3"
        there = registry.read_bytes()
        private.write(registry, without)
        live.until(lambda frame: frame[T] == "gone" and frame["ids"] == ["node-3"])
        private.write(registry, there)
        live.until(lambda frame: frame[T] == "events" and frame["id"] == "node-3", before=False)
        live.say(t="watch", id=None)
        deadline = time.monotonic() + 60
        while page.model.watched:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_slow_browser(setup: Setup) -> None:
    """What waits for it is bounded, others are told all the same; in the end it has the newest
    cards, and was told that something is missing.
    """
    with page_here(setup) as (page, visitor), visitor.live() as quick:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.connect((visitor.host, visitor.port))
        with visitor.live(sock=raw, max_queue=1, close_timeout=0.1) as slow:
            slow.until(lambda frame: frame[T] == "hello")
            slow.say(t="watch", id="node-1")
            slow.until(lambda frame: frame[T] == "events")
            deadline, seq = time.monotonic() + 60, 100
            while not any(each.missed for each in page.hub.browsers):
                assert time.monotonic() < deadline
                for _ in range(20):
                    seq += 1000
                    temperature = [20.0 + i / 8 for i in range(1000)]
                    batch = {"boot": 1, "seq": seq, "ts": seq, "dt": 1, "temperature": temperature}
                    hear(page, said("telemetry/backlog", batch))
                time.sleep(hub.FRAME_S)
            assert all(each.queue.qsize() <= hub.QUEUE for each in page.hub.browsers)
            hear(page, said("telemetry", reading(77, boot=2, temperature=77.0)))
            quick.card("node-1", lambda card: card["seq"] == 77)
            slow.until(lambda frame: frame[T] == "say" and frame.get("missed"))
            slow.card("node-1", lambda card: card["seq"] == 77)


def test_the_broker_goes_away_and_comes_back(setup: Setup, broker: RunningBroker) -> None:
    """That is shown; a Command is refused meanwhile; what was heard stays."""
    with page_here(setup, broker.port) as (_, visitor), visitor.live() as live:
        live.until(lambda frame: frame[T] in ("hello", "broker") and _broker(frame)["up"])
        client = broker.client().connect()
        client.publish(f"{base()}/telemetry", json.dumps({"v": 1} | reading(1)).encode())
        live.card("node-1", lambda card: card["seq"] == 1)
        broker.stop()
        down = live.until(lambda frame: frame[T] == "broker" and not frame["up"], before=False)
        assert str(broker.port) in down["at"]
        answer = visitor.post("/api/nodes/node-1/command", {"action": "ping"})
        assert answer.status == 503
        broker.start()
        live.until(lambda frame: frame[T] == "broker" and frame["up"], before=False)
        assert visitor.get("/api/nodes/node-1/history").json()["fields"]["temperature"]["ts"]


def _broker(frame: dict[str, Any]) -> dict[str, Any]:
    return dict(frame["broker"] if frame[T] == "hello" else frame)


def test_how_long_a_command_counts() -> None:
    """By the node's clock, or for ever where that one runs away."""
    _, payload = commanding.command("identify", {"seconds": 3})
    said_so = json.loads(payload)
    assert (said_so["ttl"], said_so["params"]) == (commanding.TTL_S, {"seconds": 3})
    assert abs(said_so["ts"] - time.time()) < 60
    assert "ttl" not in json.loads(commanding.command("ping", {}, 0)[1])


def test_a_response_that_does_not_come(setup: Setup) -> None:
    """It is told as silent, and not waited for any more; so many may wait."""
    requests = commanding.Requests()
    requests.begin("a", "node-1", base())
    requests.heard(f"{base('node-2')}/commands/response", {"id": "a", "status": "executed"})
    assert requests.ended() == []
    requests._open["a"].sent -= commanding.SILENT_S + 1
    (frame,) = requests.ended()
    assert (frame["status"], frame["request"]) == ("silent", "a")
    requests.heard(f"{base()}/commands/response", {"id": "a", "status": "executed"})
    assert requests.ended() == []
    requests.begin("b", "node-1", base())
    requests.heard(f"{base()}/commands/response", {"id": ["b"]})
    said_so = {"id": "b", "status": "x" * 999, "code": 5, "result": [1], "text": "<b>"}
    requests.heard(f"{base()}/commands/response", said_so)
    (frame,) = requests.ended()
    assert len(frame["status"]) == 64
    assert (frame["code"], frame["result"], frame["text"]) == ("5", None, "<b>")


def test_levers(setup: Setup) -> None:
    """They are described, turned, and a turn is told to all; a wrong one is refused with a word."""
    turned: list[Any] = []
    lever = Lever("network", SWITCH, "fault", "Network", "Pull it.")
    levers = Levers([Pulled(lever, turned.append)])
    scene = {"id": "node-1", "waiting": 0}
    how: dict[str, Any] = {"levers": levers, "scene": lambda: dict(scene)}
    with page_here(setup, **how) as (_, visitor), visitor.live() as live:
        hello = live.until(lambda frame: frame[T] == "hello")
        assert [each["name"] for each in hello["levers"]] == ["network"]
        assert hello["scene"] == scene
        scene["waiting"] = 3
        assert live.until(lambda frame: frame[T] == "scene" and frame["waiting"])["id"] == "node-1"
        answer = visitor.post("/api/levers/network", {"value": True})
        assert (answer.status, answer.json()["levers"][0]["on"]) == (200, True)
        assert live.until(lambda frame: frame[T] == "levers")["levers"][0]["on"]
        assert len(turned) == 1
        assert visitor.post("/api/levers/network", {"value": "x"}).status == 400
        assert visitor.post("/api/levers/nothing", {"value": True}).status == 404
