"""The bench's own parts: the wire, the page, what is kept after Ctrl-C, and what a user gets wrong.

What it measures is not looked at here: test_bench_counts.py holds the counts, and times are never
asserted.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from limpet.shared.problem import Problem
from limpet.trial.wire import Wire
from limpet_bench import clients, instructions, kept, reconnect, report, session, storm, tree
from limpet_bench.figure import Figure, Row, Verdict, at_most
from limpet_bench.sizes import Module
from limpet_bench.world import World
from support.tool import Tool

DATA = b"\x17\x03\x03\x00\x04abcd"  # a TLS record that carries data
HELLO = b"\x16\x03\x01\x00\x02ab"  # one of the handshake


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says back what it hears, to one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            end, _ = server.accept()
            with end:
                while data := end.recv(100):
                    end.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def test_wire_counts_records_however_they_are_cut(echo: int) -> None:
    """Records with data are counted, with their headers, be they sent a byte at a time."""
    sent = HELLO + DATA + DATA + HELLO + DATA
    with Wire(echo) as wire, socket.create_connection(("127.0.0.1", wire.port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for n in range(len(sent)):
            client.sendall(sent[n : n + 1])
        said = b""
        while len(said) < len(sent):
            said += client.recv(100)
        assert said == sent
        assert (wire.records, wire.bytes) == (3, 3 * len(DATA))


def test_wire_is_long_and_not_slow(echo: int) -> None:
    """Much that is sent at once comes back at once, one round trip later, in order."""
    count, delay_s = 40, 0.1
    with Wire(echo, delay_s) as wire, socket.create_connection(("127.0.0.1", wire.port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.monotonic()
        said = b""
        for n in range(count):
            client.sendall(b"%04d" % n)
            time.sleep(0.001)  # so that they are pieces
        while len(said) < 4 * count:
            said += client.recv(4096)
        took = time.monotonic() - began
    assert said == b"".join(b"%04d" % n for n in range(count))
    # A line that carried one piece at a time would take forty times as long.
    assert 2 * delay_s <= took < count * delay_s


def test_storm_is_counted_per_bin() -> None:
    """Without jitter all come back at once, which is what jitter is compared with."""
    here = tree.Tree()
    assert storm.peak(here, 0, lambda: 0.999) == storm.NODES * 10
    spread = iter(range(storm.NODES))
    assert storm.peak(here, 0, lambda: next(spread) / storm.NODES) < storm.NODES * 2


def test_p95_leaves_one_in_twenty_out() -> None:
    """Of twenty samples the last but one, of a single one itself."""
    assert reconnect.p95(tuple(float(n) for n in range(1, 21))) == 19
    assert reconnect.p95((3.0,)) == 3.0


def test_reconnect_is_judged_from_what_the_node_said() -> None:
    """What counts begins when the broker listens and the back-off in force is over."""
    said = [
        (10.0, "9.9 link down cause=closed retry_ms=1000"),
        (11.0, "10.9 link down cause=tls-closed retry_ms=4000"),
        (15.5, "15.4 link up session=2 present=1 handshake_ms=200"),
    ]
    took, beyond = reconnect._came_back(said, 12.0)
    assert took == 3.5
    assert beyond == pytest.approx(0.3)


OURS = Row("ours", "bytes", (100.0,), "size")
PEER = Row("peer", "bytes", (250.0, 300.0, 260.0), "size")
FIGURE = Figure(
    "size",
    "How large it is",
    "Weighed.",
    lambda world, tree: [OURS],
    lambda world: [PEER],
    lambda rows: [at_most(rows["ours"], 99, "at most 99")],
)


def test_page_tells_all_that_was_measured() -> None:
    """Medians, spread, ratios, targets, an earlier commit, modules, and what is missing and why."""
    taken = [
        report.Taken(FIGURE, [OURS, PEER], [Row("ours", "bytes", (120.0,))], ""),
        report.Taken(FIGURE._replace(name="none"), [], [], "there is no scale here"),
    ]
    modules = [Module("late", 10, None, False), Module("node", 1234, 5678, True)]
    page = report.markdown(taken, modules, ["an abacus"], "v1")
    assert "- an abacus\n" in page
    assert "| size | at most 99 | 100 bytes | **no** |\n" in page
    assert "| ours | bytes | 100 |  |  | 1 | 1 | 120 |\n" in page
    assert "| peer | bytes | 260 | 250 | 300 | 3 | 2.6 |  |\n" in page
    assert "`limpet bench --only size`. Weighed.\n" in page
    assert "| none | | not measured: there is no scale here | |\n" in page
    assert page.index("| node | 1,234 | 5,678 | at boot |") < page.index(
        "| late | 10 |  | on use |"
    )


def test_terminal_tells_the_same() -> None:
    """One line per row, and whether the target is met."""
    taken = report.Taken(FIGURE, [OURS, PEER], [], "")
    said = "\n".join(report.lines(taken, None))
    assert "260 bytes  x 2.6       (250 to 300)" in said
    assert "MISSED  at most 99: 100 bytes" in said
    assert taken.verdicts == [Verdict("at most 99", "100 bytes", False)]


@pytest.mark.parametrize(
    "why",
    [tree.Unmeasured("there is no scale here"), Problem("there is no scale here.", "Buy one.")],
    ids=["not measurable", "a problem"],
)
def test_figure_that_cannot_be_taken_says_why(why: Exception) -> None:
    """It is left out with its reason, and the others are taken."""

    def fails(world: object, tree: object) -> list[Row]:
        raise why

    figure, nowhere = FIGURE._replace(ours=fails), cast(World, None)
    taken = session._taken(nowhere, figure, tree.Tree(), None, None)
    assert taken.missing == "there is no scale here"
    assert taken.verdicts == []


def test_earlier_node_that_lacks_something_leaves_its_column_empty() -> None:
    """What is measured of the node as it is stays."""
    earlier = tree.Tree()

    def ours(world: object, of: object) -> list[Row]:
        if of is earlier:
            raise tree.Unmeasured("there is no such part")
        return [OURS]

    nowhere = cast(World, None)
    figure = FIGURE._replace(ours=ours)
    taken = session._taken(nowhere, figure, tree.Tree(), earlier, None)
    assert (taken.rows, taken.earlier, taken.missing) == ([OURS, PEER], [], "")
    assert "\nNot measured at v1: there is no such part.\n" in report.markdown(
        [taken], [], [], "v1"
    )
    assert "    not measured at v1: there is no such part" in report.lines(taken, "v1")


def test_row_that_an_earlier_node_lacks_is_left_out() -> None:
    """Of the node as it is, it is a figure that cannot be taken."""
    with tree.Tree(name="v1").if_there():
        raise tree.Unmeasured("v1 has no such part")
    with pytest.raises(tree.Unmeasured), tree.Tree().if_there():
        raise tree.Unmeasured("here has no such part")


def test_node_from_before_the_identity_gets_one_config(tmp_path: Path) -> None:
    """Its identity and settings in one file; the node as it is gets none."""
    (tmp_path / "identity.json").write_text('{"v": 1, "device_id": "n-1"}')
    (tmp_path / "settings.json").write_text('{"v": 1, "version": 1, "window": 16}')
    tree.Tree().prepare(tmp_path)
    assert not (tmp_path / "config.json").exists()
    tree.Tree(tmp_path, "v1").prepare(tmp_path)
    said = json.loads((tmp_path / "config.json").read_text())
    assert said == {"device_id": "n-1", "window": 16}


def test_instructions_need_valgrind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not installed, the figure says so."""
    monkeypatch.setattr("limpet_bench.instructions.shutil.which", lambda name: None)
    with pytest.raises(tree.Unmeasured, match="apt install valgrind"):
        instructions.collected(cast(World, None), tree.Tree(), "bench_client", {})


def test_what_was_measured_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was broken off is gone on with, but not over other code."""
    monkeypatch.setattr(kept, "_FILE", tmp_path / "kept.json")
    here = tree.Tree()
    kept.Kept(here).put("size", [OURS, PEER])
    assert kept.Kept(here).get("size") == [OURS, PEER]
    assert kept.Kept(here).get("weight") is None
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "new.py").write_text("pass\n")
    changed = tree.Tree()
    changed.folders = (tmp_path / "firmware", *here.folders[1:])
    assert kept.Kept(changed).get("size") is None
    kept.Kept(here).clear()
    assert kept.Kept(here).get("size") is None


def test_kept_file_that_is_damaged_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is measured again."""
    monkeypatch.setattr(kept, "_FILE", tmp_path / "kept.json")
    (tmp_path / "kept.json").write_text('{"seal":')
    assert kept.Kept(tree.Tree()).get("size") is None


def test_unknown_commit_is_named() -> None:
    """What git does not know, an option for git among it, is a Problem."""
    for ref in ("no-such-commit", "--help", ""):
        with pytest.raises(Problem, match="git knows no commit"):
            tree.commit(ref)


def test_unknown_figure_is_named() -> None:
    """The remedy says which figures there are."""
    with Tool("bench", "--only", "speed") as tool:
        assert tool.end() == 1
    assert "There is no figure speed." in tool.text
    for figure in session.FIGURES:
        assert figure.name in tool.text


def test_peer_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mqtt_as is left out where nobody says where it lies, and missed where it does not."""
    monkeypatch.delenv("MQTT_AS", raising=False)
    assert clients.mqtt_as() is None
    monkeypatch.setenv("MQTT_AS", str(tmp_path))
    with pytest.raises(Problem, match=r"no mqtt_as/__init__\.py"):
        clients.mqtt_as()


def test_script_that_fails_is_no_figure(tmp_path: Path) -> None:
    """A script that says nothing ends in its last words."""
    (tmp_path / "identity.json").write_text('{"device_id": "n-1"}')
    with pytest.raises(tree.Unmeasured, match="KeyError"):
        tree.Tree().run("bench_client", tmp_path, {})
