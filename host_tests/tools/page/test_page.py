"""`limpet page` with a real broker and a real node: what a browser is told, and what it may."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from limpet.identity.provisioning import Setup
from support.brokers.running import RunningBroker
from support.nodes import FAST, StartNode
from support.page_visitor import Visitor
from support.tool import Tool


@pytest.fixture
def start(setup: Setup) -> Iterator[Callable[..., Visitor]]:
    """Start pages on a free port, and end those that still run."""
    started: list[Tool] = []

    def started_at(port: int, *more: str) -> Visitor:
        fleet = str(setup.layout.root)
        at = ["--broker", "127.0.0.1", "--port", str(port), "--listen", "127.0.0.1:0"]
        tool = Tool("page", "--fleet", fleet, *at, *more)
        started.append(tool)
        tool.wait_for("Ctrl-C ends it")
        found = re.search(r"http://\S+/", tool.text)
        assert found, tool.text
        return Visitor(found[0])

    yield started_at
    for each in started:
        each.__exit__()


def test_a_node_is_seen_and_commanded(
    broker: RunningBroker, node: StartNode, start: Callable[..., Visitor]
) -> None:
    """It is a card; watched its Readings come; a Command brings its Response; a kill is seen."""
    visitor = start(broker.port)
    with visitor.live() as page:
        running = node(broker, config=FAST)
        page.until(lambda frame: frame["t"] == "hello")
        page.card("node-1", lambda card: card["state"] == "online" and card["values"])
        page.say(t="watch", id="node-1")
        page.until(lambda frame: frame["t"] == "node" and frame["firmware"])
        rows = page.until(lambda frame: frame["t"] == "readings")["rows"]
        assert set(rows[0][3]) == {"temperature", "humidity"}
        answer = visitor.post("/api/nodes/node-1/command", {"action": "ping"})
        assert answer.status == 202
        request = answer.json()["request"]
        response = page.until(lambda frame: frame.get("request") == request)
        assert (response["status"], response["id"]) == ("executed", "node-1")
        history = visitor.get("/api/nodes/node-1/history?field=temperature").json()
        assert history["fields"]["temperature"]["mean"]
        running.kill()
        page.card("node-1", lambda card: card["state"] == "offline")
