"""`limpet run`, the newcomer's first minute: the real node, a real broker, and what is shown."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic, sleep

import pytest
from limpet.brokers.embedded.broker import LOOPBACK, TLS_PORT, EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.running.scene import Event, Scene
from limpet.running.view import LiveView
from support.brokers.running import base, fields
from support.fleets import fleet
from support.page_visitor import Visitor
from support.tool import COLUMNS, LIMPET, TIMEOUT_S, Tool, gone

READING = b'{"v":1,"boot":7,"seq":%d,"ts":1780000000,"temperature":24.4,"humidity":46.3}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set-up with node-1, which reads as often as a DHT22 can."""
    open_setup(fleet(tmp_path)).device(fields("node-1") | {"interval_s": 2})
    return tmp_path


@pytest.fixture
def broker(root: Path) -> Iterator[EmbeddedBroker]:
    """A broker of that set-up, which is there before and after the run."""
    with EmbeddedBroker(root) as running:
        yield running


def run(root: Path, *words: str, terminal: bool = False) -> Tool:
    """Start `limpet run` in a set-up."""
    return Tool("run", "--fleet", root, *words, terminal=terminal)


def nodes(tool: Tool) -> list[int]:
    """Return the process ids of the interpreters it has started."""
    tasks = Path(f"/proc/{tool.process.pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def retained_status(root: Path) -> str:
    """Return the status that the running broker keeps for node-1."""
    found: list[Arrival] = []
    with OperatorClient(Where(root), found.append) as client:
        client.connect()
        client.subscribe([f"{base()}/status"])
        deadline = monotonic() + TIMEOUT_S
        while not found and monotonic() < deadline:
            client.subscribe([f"{base()}/status"])
    return found[0].payload.decode()


def test_device_of_a_board(tmp_path: Path) -> None:
    """A device that a board may be is not run here as well, and its config stays as it is."""
    open_setup(fleet(tmp_path)).device(fields("node-1") | {"broker": "192.0.2.7", "port": 4711})
    with run(tmp_path) as tool:
        assert tool.end() == 1
    assert "node-1 is for a board: it looks for its broker at 192.0.2.7." in tool.text
    assert open_setup(tmp_path).config("node-1").port == 4711


def test_from_nothing_to_readings(tmp_path: Path) -> None:
    """In an empty folder: sets up, shows the node come, read and go, and ends with 0 by itself."""
    with run(fleet(tmp_path / "new"), "--seconds", "5.5") as tool:
        assert tool.end() == 0, tool.text
    shown = [
        r"broker   127\.0\.0\.1:\d+, TLS, client certificates required",
        r"node     limpet/home/desk/climate/node-1\n",
        r" send node-1 read_now --fleet ",
        r"link     up session=1 ",
        r"status   online boot \d+ session 1 ",
        # The capture's second and third: the first one of a boot is asked about again.
        r"reading  24\.5 °C 46\.4 % seq 0  <?\d+ m?s\n",
        r"reading  24\.4 °C 46\.2 % seq 1  <?\d+ m?s\n",
        r"status   offline reason shutdown ",
        r"2 of 2 Readings arrived, first after .* s; last status: offline shutdown\.\n$",
    ]
    assert re.search(".*".join(shown), tool.text, re.DOTALL), tool.text
    assert "\x1b" not in tool.text


def test_ctrl_c_twice_is_a_clean_end(root: Path, broker: EmbeddedBroker) -> None:
    """Ctrl-C: exit 0, the goodbye is retained, the node is gone; a second one changes nothing."""
    with run(root) as tool:
        tool.wait_for("reading ")
        (node,) = nodes(tool)
        tool.interrupt()
        tool.wait_for("Ending")
        tool.interrupt()
        assert tool.end() == 0, tool.text
    assert gone(node)
    assert "last status: offline shutdown." in tool.text
    assert "Traceback" not in tool.text
    assert '"reason":"shutdown"' in retained_status(root).replace(" ", "")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_other_ways_to_end_it(root: Path, how: signal.Signals) -> None:
    """A service manager's SIGTERM and a closed terminal's SIGHUP are the same clean end."""
    with run(root) as tool:
        tool.wait_for("link     up")
        (node,) = nodes(tool)
        tool.process.send_signal(how)
        assert tool.end() == 0, tool.text
    assert gone(node)
    assert "offline reason shutdown" in tool.text


def test_closed_pipe_ends_it(root: Path) -> None:
    """When nobody reads any more it ends, and the node with it: the goodbye came, not the will."""
    line = [str(LIMPET), "run", "--fleet", str(root)]
    pipe = subprocess.PIPE
    with (
        EmbeddedBroker(root),
        subprocess.Popen(line, stdout=pipe, stderr=pipe, start_new_session=True) as process,
    ):
        assert process.stdout
        assert process.stderr
        while b"link     up" not in process.stdout.readline():
            pass
        process.stdout.close()
        assert process.wait(TIMEOUT_S) == 0
        assert process.stderr.read() == b""
        assert '"reason":"shutdown"' in retained_status(root).replace(" ", "")


def test_live_view_on_a_terminal(root: Path) -> None:
    """On 80 columns: the state below the log, no line too wide; at the end only the log is left."""
    with run(root, terminal=True) as tool:
        tool.wait_for(lambda text: "● up" in text and "1 arrived, 0 waiting" in text)
        tool.interrupt()
        assert tool.end() == 0, tool.text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", tool.text)
    states = [line for line in re.split(r"[\r\n]+", plain) if "●" in line or "──" in line]
    assert states
    # Room for a ^C, which the terminal itself writes at the end of the last line.
    assert max(map(len, states)) <= COLUMNS - 6
    assert plain.rstrip().endswith("last status: offline shutdown.")
    # The cursor is shown again.
    assert tool.text.rfind("\x1b[?25h") > tool.text.rfind("\x1b[?25l")


def test_live_view_on_60_columns(root: Path) -> None:
    """Nothing of the footer is cut off: the state, how to end it, and the whole of the command."""
    with Tool("run", "--fleet", root, terminal=True, columns=60) as tool:
        tool.wait_for(lambda text: "● up" in text and "1 arrived, 0 waiting" in text)
        tool.interrupt()
        assert tool.end() == 0, tool.text
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", tool.text)
    footer = plain[plain.rindex("● up") :].replace("\r", "").split("\nThe node")[0]
    assert "…" not in footer
    shown = "".join(footer.split())
    assert "Ctrl-Cstops.Inanotherterminal:" in shown
    assert f"sendnode-1read_now--fleet{os.path.relpath(root)}" in shown
    assert re.search(r"\d+arrived,\d+waiting\d+:\d\d", shown)


@pytest.mark.parametrize("columns", [40, 60])
def test_live_view_breaks_lines_at_blanks(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However narrow it is, no word is cut in two; what is said is all there."""
    monkeypatch.setenv("COLUMNS", str(columns))
    texts = (
        "15 of 15 Readings arrived, first after 2.1 s; last status: offline shutdown.",
        "  try      .venv/bin/limpet send node-1 read_now   in another terminal",
        "down cause=client-id-taken retry_ms=2000 session=7 and more",
    )
    view = LiveView("node-1", "")
    for text in texts[:2]:
        view.say(text)
    view.event(Event("link", texts[2]))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= columns
    assert " ".join(texts).split() == [
        word for word in said.split() if word != "link" and word[2:3] != ":"
    ]


def test_node_that_dies_is_shown(root: Path) -> None:
    """A node that ends unasked: its last lines, one line of why, exit code 1."""
    with run(root) as tool:
        tool.wait_for("reading ")
        (node,) = nodes(tool)
        os.kill(node, signal.SIGKILL)
        assert tool.end() == 1
    assert re.search(r"    \d+\.\d{3} sampler reading seq=0 ", tool.text)
    assert "limpet: the node ended by itself, exit code -9\n" in tool.text
    assert "offline reason lost" in tool.text


def test_no_reading_is_a_failure(root: Path) -> None:
    """A bounded run in which no Reading arrived says why and ends with 1."""
    with run(root, "--seconds", "0.5") as tool:
        assert tool.end() == 1
    assert re.search(r"limpet: the node took no Reading; the link is \w+\n$", tool.text), tool.text
    assert re.search(r"The node's last lines:\n    \d+\.\d{3} node boot=\d+ ", tool.text)


def test_config_that_is_refused(root: Path) -> None:
    """A config that the node would refuse is refused before anything starts, by field and rule."""
    path = root / "devices/node-1/settings.json"
    path.write_text(path.read_text().replace('"interval_s": 2', '"interval_s": 1'))
    with run(root) as tool:
        assert tool.end() == 1
    assert "interval_s must be 2 to 86400" in tool.text
    assert "Traceback" not in tool.text


@contextlib.contextmanager
def taken_port() -> Iterator[None]:
    """Hold port 8883; if somebody else holds it for good, it is taken just as well."""
    deadline = monotonic() + TIMEOUT_S / 2
    while True:
        try:
            held = socket.create_server((LOOPBACK, TLS_PORT))
        except OSError:
            # Another test's run may have it, and give it back in the middle of this one.
            if monotonic() < deadline:
                sleep(0.05)
                continue
            yield
        else:
            with held:
                yield
        return


def test_taken_port_and_a_command(root: Path) -> None:
    """With 8883 taken another port is said and used; `limpet send` finds it: read_now, reboot."""
    with taken_port(), run(root, terminal=True) as tool:
        tool.wait_for("8883 is taken")
        tool.wait_for("● up")
        assert re.search(r"executed in \d+ ms, id \w+\n.* °C .* % seq \d+ ", send(root, "read_now"))
        tool.wait_for("read_now")
        before = int(tool.wait_for("online boot ").partition("online boot ")[2].split()[0])
        assert "executed" in send(root, "reboot")
        # The interpreter ended and was started again; the run goes on.
        tool.wait_for(f"online boot {before + 1} session 1")
        tool.interrupt()
        assert tool.end() == 0, tool.text


def send(root: Path, *words: str) -> str:
    """Run `limpet send` to node-1, which has to answer `executed`; return the output."""
    with Tool("send", "node-1", *words, "--fleet", root) as tool:
        assert tool.end() == 0, tool.text
    return tool.text


def test_second_run_is_refused(root: Path) -> None:
    """Two nodes on one flash would spoil it: the second run says so and ends with 1."""
    with run(root) as first:
        first.wait_for("link     up")
        with run(root) as second:
            assert second.end() == 1
        assert "runs already in" in second.text
        first.interrupt()
        assert first.end() == 0


def test_node_and_run_exclude_each_other(root: Path) -> None:
    """`limpet node` and `limpet run` on one device: whichever comes second is refused, and leaves
    the config as it is.
    """
    flash = root / "devices" / "node-1"
    config = (flash / "identity.json").read_bytes()
    with Tool("node", "--root", flash) as node:
        node.wait_for("node boot")
        with run(root) as second:
            assert second.end() == 1
        assert f"A node runs already in {flash}." in second.text
        assert (flash / "identity.json").read_bytes() == config
        node.interrupt()
        assert node.end() == 0
    with run(root) as first:
        first.wait_for("link     up")
        with Tool("node", "--root", flash) as second:
            assert second.end() == 1
        assert f"A node runs already in {flash}." in second.text
        first.interrupt()
        assert first.end() == 0


def test_fast_clock(root: Path) -> None:
    """With --speed a Reading every 2 s of the node comes many times a second."""
    with run(root, "--speed", "50") as tool:
        assert "read_now" in tool.wait_for("seq 9")
        tool.interrupt()
        assert tool.end() == 0, tool.text
    assert "--ttl 0" in tool.text


def test_verbose_shows_the_whole_log(root: Path) -> None:
    """With --verbose each line of the node's log is shown, with the seconds since its boot."""
    with run(root, "--verbose") as tool:
        tool.wait_for(lambda text: re.search(r"sampler  \d+\.\d{3} reading seq=0 ", text))
        tool.interrupt()
        assert tool.end() == 0
    assert re.search(r"link     \d+\.\d{3} securing\n", tool.text)


# What is counted, without a node.


def arrival(payload: bytes, kind: str = "telemetry", at: float = 0.0) -> Arrival:
    """Return a Message of node-1."""
    return Arrival(f"{base()}/{kind}", payload, False, at)


def test_scene_counts_a_reading_once() -> None:
    """A Reading that arrives again (QoS 1 may do that) is told but not counted."""
    scene = Scene(base())
    scene.on_log("0.001 node boot=7 fw=0.1.0 reset=power-on board=host device=node-1", 1.0)
    for seq in (0, 1):
        assert not scene.on_log(f"1.000 sampler reading seq={seq} temperature=1 humidity=1", 2.0)
    assert [e.text for e in scene.on_message(arrival(READING % 0, at=2.04))] == [
        "24.4 °C 46.3 % seq 0  40 ms"
    ]
    assert (scene.arrived, scene.waiting, scene.first_at) == (1, 1, 2.04)
    (event,) = scene.on_message(arrival(READING % 0, at=3.0))
    assert "arrived before" in event.text
    assert (scene.arrived, scene.again, scene.waiting) == (1, 1, 1)
    batch = b'{"boot":7,"seq":0,"ts":1,"dt":2,"temperature":[1,2],"humidity":[1,2]}'
    assert len(scene.on_message(arrival(batch, at=12.0))) == 2
    assert (scene.arrived, scene.waiting, scene.shortfall()[:1]) == (2, 0, "2")


def test_scene_takes_batches_from_both_topics() -> None:
    """From telemetry/backlog, and from `telemetry` as through a broker of before."""
    scene = Scene(base())
    batch = b'{"boot":7,"seq":%d,"ts":1,"dt":2,"temperature":[1,null],"outdoor_temperature":[1,2]}'
    for seq, kind in ((0, "telemetry/backlog"), (2, "telemetry")):
        first, second = scene.on_message(arrival(batch % seq, kind))
        assert first.text == f"1.0 °C outdoor 1.0 °C seq {seq}"
        assert second.text == f"- °C outdoor 2.0 °C seq {seq + 1}"
    assert (scene.arrived, scene.again) == (4, 0)


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_footer_shows_every_sensor(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its values together, none cut off, within the terminal."""
    monkeypatch.setenv("COLUMNS", str(columns))
    scene = Scene(base())
    payload = b'{"boot":7,"seq":0,"ts":1,"temperature":24.4,"humidity":46.3,'
    payload += b'"outdoor_temperature":null,"outdoor_humidity":81.2,"supply":3.31}'
    scene.on_message(arrival(payload))
    lines = str(LiveView("node-1", "limpet watch")._footer(scene, 5)).splitlines()
    assert all(len(line) <= columns for line in lines)
    for shown in ("24.4 °C  46.3 %", "outdoor - °C  81.2 %", "supply 3.31 V"):
        assert any(shown in line for line in lines), lines


def test_scene_counts_the_backlog_apart() -> None:
    """What an earlier boot took is none of the Readings that this run waits for."""
    scene = Scene(base())
    scene.on_log("0.001 node boot=8 fw=0.1.0 reset=power-on board=host device=node-1", 1.0)
    scene.on_log("1.000 sampler reading seq=0 temperature=1 humidity=1", 2.0)
    batch = b'{"boot":7,"seq":0,"ts":1,"dt":2,"temperature":[1,2],"humidity":[1,2]}'
    for event in scene.on_message(arrival(batch)):
        assert event.text.endswith("from before")
    assert (scene.taken, scene.arrived, scene.earlier, scene.waiting) == (1, 0, 2, 1)
    scene.on_log("0.001 node boot=9 fw=0.1.0 reset=hard board=host device=node-1", 3.0)
    scene.on_message(arrival((READING % 0).replace(b'"boot":7', b'"boot":8'), at=4.0))
    assert (scene.taken, scene.arrived, scene.earlier, scene.waiting) == (1, 1, 2, 0)


def test_scene_knows_what_a_power_cut_has_cost() -> None:
    """What was in RAM: known when a node of a later boot has nothing left to send."""
    scene = Scene(base())
    scene.on_log("0.001 node boot=7 fw=0.1.0 reset=power-on board=host device=node-1", 1.0)
    for seq in range(2):
        scene.on_log(f"1.000 sampler reading seq={seq} temperature=1 humidity=1", 2.0)
    scene.on_message(arrival(READING % 0, at=2.1))
    empty = arrival(b'{"v":1,"queued":0}', "health")
    scene.on_message(empty)
    assert (scene.waiting, scene.lost) == (1, 0)
    scene.on_log("0.001 node boot=8 fw=0.1.0 reset=power-on board=host device=node-1", 50.0)
    scene.on_message(empty)
    assert (scene.waiting, scene.lost) == (0, 1)
    footer = str(LiveView("node-1", "limpet watch")._footer(scene, 60))
    assert "1 arrived, 0 waiting" in " ".join(footer.split())


def test_scene_tells_apart_by_boot() -> None:
    """The same seq after a reset is another Reading."""
    scene = Scene(base())
    scene.on_message(arrival(READING % 0))
    scene.on_message(arrival((READING % 0).replace(b'"boot":7', b'"boot":8')))
    assert (scene.arrived, scene.again) == (2, 0)


def test_scene_passes_over_what_is_not_its_own() -> None:
    """Another device's Readings are shown with its name and counted nowhere."""
    scene = Scene(base())
    other = Arrival(f"{base('node-2')}/telemetry", READING % 0, False, 1.0)
    assert scene.on_message(other)[0].text.startswith("node-2: 24.4 °C")
    assert scene.arrived == 0


def test_scene_shows_the_broker_s_time_to_who_wants_all() -> None:
    """`{org}/time` comes once a minute, and is for nodes."""
    time = Arrival("limpet/time", b'{"v":1,"ts":1780000000}', False, 1.0)
    assert Scene(base()).on_message(time) == []
    (event,) = Scene(base(), verbose=True).on_message(time)
    assert (event.kind, event.text) == ("time", "limpet/time: 2026-05-28 20:26:40")


def test_scene_reads_the_link_from_the_log() -> None:
    """The link's state is what the log said last; a loss is counted only if it had been up."""
    scene = Scene(base())
    for state in ("resolving", "connecting", "down cause=tcp retry_ms=900", "securing", "up"):
        scene.on_log(f"1.000 link {state}", 1.0)
    assert (scene.link, scene.losses) == ("up", 0)
    (event,) = scene.on_log("2.000 link down cause=ping-timeout retry_ms=800", 2.0)
    assert (event.text, event.weight) == ("down cause=ping-timeout retry_ms=800", "bad")
    assert (scene.link, scene.losses) == ("down", 1)


def test_scene_shows_what_is_no_log_line() -> None:
    """A traceback, or anything else that is not of the log's form, is shown, made harmless."""
    scene = Scene(base())
    assert scene.on_log("Traceback \x1b[2J", 1.0)[0].text == "Traceback \\x1b[2J"
    assert scene.told_last
    assert scene.on_log("", 1.0) == []
    assert not scene.told_last


def test_the_page_beside_it(root: Path) -> None:
    """Its address is said; it shows the node, and the levers; without it there is none."""
    with run(root) as tool:
        found = re.search(r"page +(http://\S+/)", tool.wait_for("reading "))
        assert found, tool.text
        with Visitor(found[1]).live() as page:
            hello = page.until(lambda frame: frame["t"] == "hello")
            assert hello["scene"]["id"] == "node-1"
            assert {"network", "broker"} <= {each["name"] for each in hello["levers"]}
            page.card("node-1", lambda card: card["state"] == "online" and card["values"])
        tool.interrupt()
        assert tool.end() == 0
    with run(root, "--no-page", "--seconds", "1") as tool:
        tool.end()
        assert "page " not in tool.text
