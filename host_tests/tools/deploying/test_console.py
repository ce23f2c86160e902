"""What a node says on its console, for people: `limpet console`, and how a deploy watches it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from limpet.boards import port
from limpet.boards.port import open_port
from limpet.deploying import arrival, console, node_log
from limpet.deploying.node_log import CAUSES, FINAL, PASSING
from limpet.shared.paths import FIRMWARE, LIB
from limpet.shared.problem import Problem
from support.tool import Tool
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]

# Says what it is told to once a byte has come, and again for each one more.
SAYS = """
import sys, time
while True:
    sys.stdin.read(1)
    print({lines!r})
"""
LOG = "0.054 node boot=7 fw=0.1.0\n1.200 link down cause=dns retry_ms=900\n2.100 link up session=1"


def saying(make: Make, lines: str) -> VirtualBoard:
    """A board that says these lines when it is spoken to."""
    return make(files={"/main.py": SAYS.format(lines=lines).encode()})


def test_a_line_is_taken_apart() -> None:
    """Time, area, text and words; whatever is no line of the log stays text."""
    said = node_log.parse("1.200 link down cause=dns retry_ms=900")
    assert said[:2] == ("1.200", "link")
    assert said.words == {"cause": "dns", "retry_ms": "900"}
    assert said.cause == "dns"
    assert node_log.parse("2.100 link up session=1 present=0 handshake_ms=9").up
    assert node_log.parse("0.100 wifi down cause=no-ap").cause == "no-ap"
    for line in ('  File "app.py", line 3', "", "1.2 link up", "12.345 link"):
        assert node_log.parse(line) == ("", "", line)
    assert not node_log.parse("1.200 sampler up session=1").up
    assert node_log.parse("1.200 command id=1 action=x cause=dns").cause is None


def test_each_cause_of_the_firmware_is_explained() -> None:
    """What the client, Wi-Fi and the Link can give as a cause has words."""
    sources = [LIB / f"{name}.py" for name in ("transport", "transport_causes", "umqtt_tls")]
    sources.append(FIRMWARE / "device" / "wifi.py")
    names = ("session/causes.py", "session/blame.py", "reporting/status.py")
    sources += [FIRMWARE / "node" / name for name in names]
    text = "".join(path.read_text() for path in sources)
    found = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text))
    single = {"dns", "memory", "closed", "lost", "protocol", "starting", "rejoining", "timeout"}
    assert len(found) > 25
    assert found | single | {"undeliverable", "driver"} <= CAUSES.keys() | PASSING.keys()
    assert not CAUSES.keys() & PASSING.keys()
    assert set(FINAL) <= CAUSES.keys()


@pytest.mark.parametrize("how", ["pipe", "terminal", "raw"])
def test_console_shows_the_log_and_sends_nothing(virtual_board: Make, how: str) -> None:
    """Each line, a cause explained the first time; Ctrl-C ends the console and not the node."""
    board = saying(virtual_board, LOG)
    options = ["--raw"] if how == "raw" else []
    with Tool("console", "--port", board.url, *options, terminal=how == "terminal") as tool:
        # What was said before the port was open is lost, as on any.
        tool.wait_for(lambda text: text.count("session=1") >= 2 or board.press(b"x"))
        tool.interrupt()
        assert tool.end() == 130
    assert tool.text.count("broker's name cannot be looked up") == (how != "raw")
    assert ("\x1b[" in tool.text) == (how == "terminal")
    assert board.taken == 0
    assert board.starts == ["power-on"]
    assert not [line for line in board.lines if "Interrupt" in line]


def test_console_outlives_the_cable(virtual_board: Make) -> None:
    """A port that goes is waited for, and the log goes on when it is back."""
    board = saying(virtual_board, LOG)
    with Tool("console", "--port", board.port) as tool:
        tool.wait_for(lambda text: "session=1" in text or board.press(b"x"))
        board.unplug()
        tool.wait_for("has gone; waiting for it to come back")
        board.plug()
        tool.wait_for("it is back")
        shown = tool.text.count("session=1")
        tool.wait_for(lambda text: text.count("session=1") > shown or board.press(b"x"))


def test_console_without_a_board_names_its_own_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no target of make: what says where the board is is --port."""
    monkeypatch.setattr(port, "_fitting", list)
    with pytest.raises(Problem) as problem:
        console.console()
    assert "name its port: --port /dev/... or a URL" in problem.value.remedy


def test_console_names_a_port_that_is_not_there() -> None:
    """Two sentences, no traceback."""
    with Tool("console", "--port", "/dev/no-such-port") as tool:
        assert tool.end() == 1
    assert tool.text.startswith("limpet: There is no /dev/no-such-port.")


ENDS = {
    "config": ("0.1 x\n0.100 config refused field=port rule=must be 1 to 65535",
               "The node refuses its config: port must be 1 to 65535."),
    "no config": ("0.100 config missing, waits for one line of JSON", "The node has no config."),
    "password": ("20.100 wifi down cause=wrong-password",
                 "The node is not let in: wrong-password."),
    "certificate": ("1.100 link down cause=certificate-name retry_ms=60000",
                    "The node is not let in: certificate-name."),
    "no slot": ("limpet: no slot can start, copy the code again: limpet deploy",
                "The node cannot run: no slot can start,"),
    "crash": ("Traceback (most recent call last):\n  File \"app.py\", line 3, in build\n"
              "KeyError: secret\nrst:0xc (SW_CPU_RESET)", "The node crashed: KeyError: secret."),
    "bug": ("Traceback (most recent call last):\n  File \"x.py\", line 3\nIndexError: \n"
            "1.100 node bug 1", "The node has a bug: IndexError."),
    "late": ("1.100 link down cause=tcp-refused retry_ms=900",
             "The node is not up after 0.4 s (tcp-refused). It goes on trying."),
    "nothing": ("0.100 link resolving", "The node is not up after 0.4 s. It goes on trying."),
}  # fmt: skip


@pytest.mark.parametrize("which", ENDS)
def test_what_keeps_a_node_from_coming_up_is_named(virtual_board: Make, which: str) -> None:
    """At once where waiting does not help, at the deadline where it might have."""
    lines, cause = ENDS[which]
    board = saying(virtual_board, lines)
    port = open_port(board.url)
    port.write(b"x")
    slow = which in ("late", "nothing", "bug")
    with pytest.raises(Problem) as caught:
        arrival.watch(port, board.url, 0.4 if slow else 20)
    assert caught.value.cause.startswith(cause)
    assert caught.value.remedy.endswith((".", "DNS"))


def test_node_that_comes_up_ends_the_watch(
    virtual_board: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    """A cause before that is explained and forgotten."""
    board = saying(virtual_board, LOG)
    port = open_port(board.url)
    port.write(b"x")
    arrival.watch(port, board.url, 20)
    said = capsys.readouterr().out
    assert "-> The broker's name cannot be looked up" in said
    assert said.rstrip().endswith("2.100 link up session=1")
