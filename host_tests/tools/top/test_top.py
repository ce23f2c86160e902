"""`limpet top` as a user has it: on a terminal, in a pipe, with a real broker and a real node."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterator

import pytest
from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.listening import Hearing
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from limpet.ingest.consumer import Message
from limpet.top.screen import Said, Scene
from limpet.top.top import unread
from limpet.top.view import View
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import base
from support.nodes import FAST, IN_ORDER, StartNode
from support.ports import closed_port
from support.tool import TIMEOUT_S, Tool, limpet

NAME = "looks-on"
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.fixture
def mosquitto(setup: Setup) -> Iterator[Mosquitto]:
    """Run one that knows a reader of ours."""
    consumers.add(setup, NAME, "read")
    running = Mosquitto(setup)
    running.start()
    yield running
    running.close()


Start = Callable[..., Tool]


@pytest.fixture
def start(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start it on a terminal with keys, and end what still runs."""
    for variable in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    started: list[Tool] = []

    def top(port: int, *more: str, columns: int = 100) -> Tool:
        at = ["--fleet", str(setup.layout.root), "--broker", "127.0.0.1", "--port", str(port)]
        tool = Tool("top", *at, *more, terminal=True, keys=True, columns=columns)
        started.append(tool)
        return tool

    yield top
    for each in started:
        each.__exit__()


def lines(text: str) -> list[str]:
    """Return what a terminal shows by now: the lines of the last picture."""
    return _STEERING.sub("", text.rpartition("\x1b[H")[2]).replace("\r", "").split("\n")


def line(text: str, name: str) -> str:
    """Return the line of a device, empty where it is not in view."""
    return next((each for each in lines(text) if each.startswith(f"{name} ")), "")


def ended(tool: Tool) -> None:
    """Hold that it has ended well, and the terminal is as it was."""
    assert tool.end() == 0, tool.text
    assert tool.text.rpartition("\x1b[?1049h")[2].count("\x1b[?1049l") == 1
    assert tool.by_line()
    assert "Traceback" not in tool.text


def test_a_real_node(mosquitto: Mosquitto, node: StartNode, start: Start) -> None:
    """What it measures, its health, and that it was cut off: all of that is seen."""
    tool = start(mosquitto.port, columns=160)
    tool.wait_for(lambda text: "? unseen" in line(text, "node-2"))
    running = node(mosquitto, config=IN_ORDER | {"health_s": 10})
    tool.wait_for(lambda text: re.search(r"\+ online .* \d+ s .* °C .* %", line(text, "node-1")))
    tool.wait_for(lambda text: re.search(r"\d KB", line(text, "node-1")))
    assert "home/desk" in line(tool.text, "node-1")
    running.kill()
    tool.wait_for(lambda text: "x offline lost" in line(text, "node-1"))
    tool.wait_for(lambda text: lines(text)[3].startswith("node-1"))  # the worst first
    assert re.search(r"\d devices .* x 1 offline .* \? \d+ unseen", lines(tool.text)[1])
    tool.press("q")
    ended(tool)


def test_the_keys(mosquitto: Mosquitto, start: Start) -> None:
    """Each does what the help says, and what is typed is not shown twice."""
    tool = start(mosquitto.port)
    tool.wait_for(lambda text: line(text, "node-1"))
    tool.press("?")
    tool.wait_for(lambda text: "any key takes it away" in text)
    tool.press("?")
    tool.press("/node-2")
    tool.wait_for(lambda text: line(text, "node-2") and not line(text, "node-1"))
    tool.press("\r")
    tool.wait_for(lambda text: "/node-2   / search" in lines(text)[-1])
    tool.press("\x1b")
    tool.wait_for(lambda text: line(text, "node-1"))
    tool.press("s")
    tool.wait_for(lambda text: "sort: name" in lines(text)[-1])
    tool.press("ff")
    tool.wait_for(lambda text: "No device silent." in text)
    tool.press("q")
    ended(tool)


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm", "seconds", "the terminal closes"])
def test_the_end(how: str, mosquitto: Mosquitto, start: Start) -> None:
    """However it ends, the terminal is as it was, and the identity free."""
    tool = start(mosquitto.port, *(["--seconds", "2"] if how == "seconds" else []))
    tool.wait_for(lambda text: line(text, "node-1"))
    if how == "ctrl-c":
        tool.interrupt()
    elif how == "sigterm":
        tool.process.terminate()
    elif how == "the terminal closes":
        tool.process.send_signal(signal.SIGHUP)
        assert tool.end() in (0, -signal.SIGHUP)
        return
    ended(tool)


def test_a_terminal_that_changes(mosquitto: Mosquitto, start: Start) -> None:
    """Narrower, and lower: less is shown, and nothing is wider or higher than it."""
    tool = start(mosquitto.port)
    tool.wait_for(lambda text: "queue" in "".join(lines(text)[2:3]))
    tool.resize(6, 30)

    def fits(text: str) -> bool:
        found = lines(text)
        return len(found) == 6 and max(map(len, found)) <= 30 and "device" in found[2]

    tool.wait_for(fits)
    tool.resize(2, 5)
    tool.wait_for(lambda text: len(lines(text)) == 2)
    tool.press("q")
    ended(tool)


def test_ctrl_z(mosquitto: Mosquitto, start: Start) -> None:
    """It gives the terminal back; and goes on at once here, where no shell could go on with it."""
    tool = start(mosquitto.port)
    tool.wait_for(lambda text: line(text, "node-1"))
    tool.process.send_signal(signal.SIGTSTP)
    text = tool.wait_for(lambda text: text.count("\x1b[?1049h") == 2)
    assert text.count("\x1b[?1049l") == 1
    tool.wait_for(lambda text: line(text, "node-1"))
    tool.press("q")
    ended(tool)


def test_the_broker_goes_away(mosquitto: Mosquitto, start: Start) -> None:
    """The header says so, what was heard stays, and all goes on when it is back."""
    tool = start(mosquitto.port, "--as", NAME)
    tool.wait_for(lambda text: "connected to" in lines(text)[0])
    device = mosquitto.client("node-1").connect()
    say = {"v": 1, "boot": 7, "seq": 1, "ts": 1_790_000_000, "temperature": 21.5}
    device.publish(f"{base()}/telemetry", say)
    tool.wait_for(lambda text: "21.5 °C" in line(text, "node-1"))
    device.close()
    mosquitto.stop()
    tool.wait_for(
        lambda text: re.search(r"! for \d+ s no connection to 127\.0\.0\.1", lines(text)[0])
    )
    assert "21.5 °C" in line(tool.text, "node-1")
    mosquitto.start()
    tool.wait_for(lambda text: "connected again to" in lines(text)[0])
    tool.press("q")
    ended(tool)


def test_without_colours(
    mosquitto: Mosquitto, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NO_COLOR is heeded; signs and words remain."""
    monkeypatch.setenv("NO_COLOR", "1")
    tool = start(mosquitto.port)
    tool.wait_for(lambda text: "? unseen" in line(text, "node-1"))
    tool.press("q")
    ended(tool)
    assert not re.search(r"\x1b\[[0-9;]*[34]\dm", tool.text)


def test_once(mosquitto: Mosquitto, node: StartNode, setup: Setup) -> None:
    """In a pipe: a table, or JSON, of what is retained, and what is said meanwhile."""
    running = node(mosquitto, config=FAST)
    running.until("link up")
    at = ["--fleet", str(setup.layout.root), "--port", str(mosquitto.port)]
    done = limpet("top", *at, "--seconds", "4")
    assert done.returncode == 0, done.stderr
    head, titles, *rows = done.stdout.splitlines()
    assert re.fullmatch(r"\d+ devices: .*\? \d+ unseen.*", head)
    assert titles.split()[:3] == ["device", "state", "seen"]
    assert "\x1b" not in done.stdout
    assert any(row.startswith("node-1 ") for row in rows)
    done = limpet("top", *at, "--seconds", "4", "--json")
    found = json.loads(done.stdout)
    devices = {each["device"]: each for each in found["devices"]}
    assert found["connected"] is True
    assert devices["node-1"]["state"] == "online"
    assert devices["node-1"]["reading"]["values"]["temperature"] is not None
    assert devices["node-2"]["state"] == "unseen"
    running.kill()


def test_no_reading_came(setup: Setup) -> None:
    """Of who is online with a longer interval than was listened: it is said how to see more."""
    hearing = Hearing(Fleet({"node-1": base()}), Known(setup.layout.root, None, print))
    scene = Scene("here", hearing, View(), Said())
    assert unread(scene, 5) == ""
    status = {"v": 1, "status": "online", "boot": 1, "session": 1}
    reading = {"v": 1, "boot": 1, "seq": 0, "ts": 1_790_000_000, "temperature": 20}
    for suffix, said in (("status", status), ("telemetry", reading)):
        assert bool(unread(scene, 5)) == (suffix == "telemetry")
        payload = json.dumps(said).encode()
        hearing.fleet.take(Message(f"{base()}/{suffix}", payload, 1, 1, suffix == "status"), 0)
    assert unread(scene, 5) == ""


def test_once_on_a_terminal(mosquitto: Mosquitto, start: Start) -> None:
    """A table that stays, and no screen of its own."""
    tool = start(mosquitto.port, "--once", "--seconds", "1")
    assert tool.end() == 0, tool.text
    assert "node-1" in tool.text
    assert "\x1b[?1049h" not in tool.text


def test_a_closed_pipe(mosquitto: Mosquitto, setup: Setup) -> None:
    """Whoever reads no more ends it, before its time."""
    at = ["--fleet", str(setup.layout.root), "--port", str(mosquitto.port)]
    tool = Tool("top", *at, "--seconds", "600")
    tool.wait_for("listening")
    os.close(tool._read)
    assert tool.process.wait(TIMEOUT_S) == 0


def test_without_a_broker(setup: Setup, start: Start) -> None:
    """Live it waits for it; printed once it says what is missing."""
    tool = start(closed_port())
    tool.wait_for(lambda text: "! no connection to" in lines(text)[0])
    tool.press("q")
    ended(tool)
    at = ["--fleet", str(setup.layout.root), "--port", str(closed_port())]
    done = limpet("top", *at, "--seconds", "1")
    assert done.returncode == 1
    assert "no connection to 127.0.0.1" in done.stderr
    assert "limpet run" in done.stderr


def test_who_is_not_let_in(setup: Setup, mosquitto: Mosquitto, start: Start) -> None:
    """A name that is none, and a broker that has another CA, are said, behind the table."""
    at = ["--fleet", str(setup.layout.root), "--port", str(mosquitto.port)]
    done = limpet("top", *at, "--as", "nobody")
    assert (done.returncode, "limpet operator add nobody" in done.stderr) == (1, True)
    tool = start(mosquitto.port, "--server-name", "elsewhere.example")
    assert tool.end() == 1
    assert tool.by_line()
    assert "its certificate is refused" in tool.text.rpartition("\x1b[?1049l")[2]
