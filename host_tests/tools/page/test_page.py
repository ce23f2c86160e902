"""`limpet page` with a real broker and a real node: what a browser is told, and what it may."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.running import beside
from support.brokers.running import RunningBroker, fields
from support.fleets import fleet
from support.nodes import FAST, StartNode
from support.page_here import page_here
from support.page_visitor import Visitor
from support.ports import closed_port
from support.tool import TIMEOUT_S, Tool, limpet, serving
from websockets.exceptions import ConnectionClosed


@pytest.fixture
def start(setup: Setup) -> Iterator[Callable[..., Visitor]]:
    """Start pages on a free port, and end those that still run."""
    with serving("page", setup.layout.root) as started:

        def visited(port: int, *more: str) -> Visitor:
            tool = started(port, *more)
            found = re.search(r"http://\S+/", tool.text)
            assert found, tool.text
            return Visitor(found[0])

        yield visited


@pytest.mark.long
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


def test_the_password(tmp_path: Path) -> None:
    """It is asked for twice at a terminal, and comes from a variable in a script; without one there
    is no page for others.
    """
    root = fleet(tmp_path / "fleet")
    open_setup(root).device(fields("node-1"))
    lacking = limpet("page", "--fleet", root, "--listen", "0.0.0.0:0")
    assert "Give it one: limpet page --set-password" in lacking.stderr
    assert lacking.returncode == 1
    with Tool("page", "--set-password", "--fleet", root, terminal=True, keys=True) as tool:
        tool.wait_for("password of the page: ")
        tool.press("a horse and a battery\n")
        tool.wait_for("again: ")
        tool.press("a horse and a staple\n")
        assert tool.end() == 1
        assert "two different passwords" in tool.text
        assert "horse" not in tool.text
    given: dict[str, Any] = {"LIMPET_PAGE_PASSWORD": "short"}
    short = limpet("page", "--set-password", "--fleet", root, **given)
    assert "The password has 5 letters." in short.stderr
    assert not (root / "page" / "password").exists()
    given = {"LIMPET_PAGE_PASSWORD": "long enough it is"}
    done = limpet("page", "--set-password", "--fleet", root, **given)
    assert done.returncode == 0
    assert (root / "page" / "password").stat().st_mode & 0o777 == 0o600
    lacking = limpet("page", "--fleet", root, "--listen", "0.0.0.0:0")
    assert "limpet operator add page --read" in lacking.stderr


def test_an_extra_that_is_missing_is_said_first(tmp_path: Path) -> None:
    """Before the fleet is missed: who has installed it has to install it again in any case."""
    hidden = "import sys; sys.modules['starlette'] = None; from limpet.cli import main; main()"
    words = [sys.executable, "-c", hidden, "page", "--fleet", str(tmp_path / "nope")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=TIMEOUT_S)
    assert "limpet[page]" in done.stderr
    assert "fleet" not in done.stderr


def test_help_says_who_the_page_is() -> None:
    """To the broker: an operator that is free, or, where it only reads, `page`."""
    said = " ".join(limpet("page", "--help").stdout.replace("│", " ").split())
    assert "[default: page]" in said
    assert "an operator of the fleet" in said


@pytest.mark.parametrize("verb", ["page", "exporter"])
def test_who_is_refused_names_no_address(broker: RunningBroker, tmp_path: Path, verb: str) -> None:
    """At a broker of another fleet it ends, and has sent nobody to where it is not."""
    root = fleet(tmp_path / "fleet")
    setup = open_setup(root)
    setup.device(fields("node-1"))
    consumers.add(setup, "exporter", "read")
    at = ["--broker", "127.0.0.1", "--port", str(broker.port), "--listen", "127.0.0.1:0"]
    done = limpet(verb, "--fleet", root, *at)
    assert done.returncode == 1
    assert "No connection to" in done.stderr
    assert "http" not in done.stdout


def test_a_store_that_is_not_there(setup: Setup, tmp_path: Path) -> None:
    """One that was named is missed at the start, and may come later; nobody misses the fleet's."""
    with serving("page", setup.layout.root) as started:
        said = started(closed_port(), "--store", str(tmp_path / "nope")).text
        assert f"There is no store {tmp_path / 'nope'}. Start `limpet ingest` first." in said
        assert "no store" not in started(closed_port()).text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--listen", "here"], "is no address with a port"),
        (["--listen", "127.0.0.1:99999"], "is no address with a port"),
        (["--listen", "192.0.2.1:8080", "--certificate", "x"], "of no use without its key"),
        (["--listen", "0.0.0.0:1", "--certificate", "/x", "--key", "/y"], "There is no /x"),
        (["--behind-proxy"], "--name HOST"),
        (["--listen", "127.0.0.1:0", "--store", "mysql://x"], "is no store"),
        (["--read-only", "--operate"], "contradict each other"),
    ],
)
def test_what_cannot_be(setup: Setup, words: list[str], why: str) -> None:
    """It is said, with what to do, and nothing is served."""
    done = limpet("page", "--fleet", setup.layout.root, *words)
    assert done.returncode == 1
    assert why in done.stderr


def test_the_second_one(setup: Setup, start: Callable[..., Visitor]) -> None:
    """A port that is taken is named; Ctrl-C ends the first one in order."""
    visitor = start(closed_port())
    at = ["--broker", "127.0.0.1", "--port", str(closed_port())]
    where = f"127.0.0.1:{visitor.port}"
    done = limpet("page", "--fleet", setup.layout.root, *at, "--listen", where)
    assert done.returncode == 1
    assert f"{where} cannot be listened on" in done.stderr
    # Its broker is not there, and it serves all the same.
    with visitor.live() as page:
        broker = page.until(lambda frame: frame["t"] == "hello")["broker"]
        assert not broker["up"]


def test_ctrl_c(setup: Setup) -> None:
    """It ends by 0, and tells the browsers."""
    at = ["--broker", "127.0.0.1", "--port", str(closed_port()), "--listen", "127.0.0.1:0"]
    with Tool("page", "--fleet", setup.layout.root, *at) as tool:
        found = re.search(r"http://\S+/", tool.wait_for("Ctrl-C ends it"))
        assert found
        with Visitor(found[0]).live() as page:
            page.until(lambda frame: frame["t"] == "hello")
            tool.interrupt()
            with pytest.raises(ConnectionClosed):
                page.until(lambda frame: False)
        assert tool.end() == 0
        assert "Traceback" not in tool.text


def test_a_bug_ends_it(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that tells nobody anything would look like one on which nothing happens."""
    failed: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.append(args.exc_value))
    with page_here(setup) as (page, visitor), visitor.live() as live:
        live.until(lambda frame: frame["t"] == "hello")
        monkeypatch.setattr(page.hub, "_common", None)
        with pytest.raises((ConnectionClosed, AssertionError)):
            live.until(lambda frame: False)
    assert [type(each) for each in failed] == [TypeError]


def test_what_run_says_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """How to have it, in a line."""
    assert beside.lacking() == ""
    monkeypatch.setattr(beside, "find_spec", lambda name: None)
    assert "pipx install --force '.[page]'" in beside.lacking()
