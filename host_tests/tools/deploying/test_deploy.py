"""`limpet deploy` against the virtual board, by mpremote's own code: what it copies and
refuses, and what runs after it was cut off.

But for one test the code is a small one that says which it is: how a whole node comes up is not
what these are about.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from limpet.boards.board_facts import facts
from limpet.boards.node_files import LISTING, flash_files
from limpet.boards.port import open_port
from limpet.brokers.setup import open_setup
from limpet.deploying import deploy as deploying
from limpet.deploying import remote, slots, surveying
from limpet.deploying.deploy import deploy
from limpet.deploying.deployment import KEPT
from limpet.identity import device_config
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import settings
from limpet.shared.paths import FIRMWARE
from limpet.shared.problem import Problem
from support.brokers.running import RunningBroker, base, fields
from support.fleets import fleet
from support.nodes import wait_for_readings
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]

WIFI: dict[str, Any] = {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"}
STARTERS = {f"/{name}": (FIRMWARE / name).read_bytes() for name in ("boot.py", "main.py")}
# With a watchdog, as on a node: Ctrl-C and a soft reset do not stop it.
GUARD = """
import json, machine, sys, time
from device import version
def run():
    with open("identity.json") as file:
        device = json.load(file)["device_id"]
    print("0.001 node fw=%s slot=%s device=%s" % (version.TEXT, sys.path[0], device))
    print("0.002 link up session=1")
    watchdog = machine.WDT(timeout=120000)
    while True:
        time.sleep_ms(50)
        watchdog.feed()
"""


def code(version: str, **more: str) -> dict[str, bytes]:
    """A slot's files: a guard that says its version and that it is up, and something to copy."""
    files = {
        "device/__init__.py": b"",
        "device/guard.py": GUARD.encode(),
        "device/version.py": f"TEXT = {version!r}\n".encode(),
        "node/much.bin": bytes(range(256)) * 20,
        "app.py": b"pass\n" * 30,
        **{f"{name.replace('__', '/')}.py": text.encode() for name, text in more.items()},
    }
    hashes = {name: sha256(data).hexdigest() for name, data in files.items()}
    return files | {LISTING: json.dumps({"version": version, "files": hashes}).encode()}


class Bench:
    """A set-up with one device, and what deploying to a board gives."""

    def __init__(
        self, setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.setup = setup
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.put("one")
        self.config(**WIFI)

    def put(self, version: str, **more: str) -> None:
        """Make `version` what is deployed from here on."""
        files = code(version, **more)
        self._monkeypatch.setattr(deploying, "code_files", lambda _: files)

    def code(self, files: dict[str, bytes]) -> None:
        """Make these what is deployed from here on."""
        self._monkeypatch.setattr(deploying, "code_files", lambda _: files)
        # Long enough for a busy machine to start the node and to be refused.
        self._monkeypatch.setattr(deploying, "WATCH_S", 8.0)

    def untidy(self) -> None:
        """From here on a deploy ends when all is there: what follows, test_modules.py cuts off."""
        self._monkeypatch.setattr(surveying, "tidy", lambda *_: None)

    def said(self) -> str:
        """What it has said since."""
        return self._capsys.readouterr().out

    def config(self, **changes: Any) -> None:
        """Change the device's config."""
        folder = self.setup.layout.device("node-1")
        device_config.write(folder, device_config.read(folder) | changes)

    def deploy(self, board: VirtualBoard, **how: Any) -> str:
        """Deploy, and return what that said."""
        self._capsys.readouterr()
        where = how.pop("port", board.port)
        deploy(how.pop("name", "esp32_devkit"), port=where, fleet=self.setup.layout.root, **how)
        return self._capsys.readouterr().out

    def refused(self, board: VirtualBoard, **how: Any) -> str:
        """Deploy in vain, and return the cause."""
        with pytest.raises(Problem) as caught:
            self.deploy(board, **how)
        return caught.value.cause


@pytest.fixture
def bench(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Bench:
    """A set-up of its own: its config is changed."""
    setup = open_setup(fleet(tmp_path / "dev"))
    setup.device(fields("node-1"))
    return Bench(setup, monkeypatch, capsys)


def running(board: VirtualBoard) -> str:
    """Wait until something runs since the last start, and return its version."""

    def told() -> str | None:
        start = max(n for n, line in enumerate(board.lines) if line.startswith("rst:"))
        return next((line for line in board.lines[start:] if " node fw=" in line), None)

    # A start that is not yet in `lines` has none: what is found would be of the last one.
    board.wait(lambda: sum(map(_is_reset, board.lines)) == _resets(board))
    board.wait(told)
    return str(told()).partition("fw=")[2].split()[0]


def restarted(board: VirtualBoard, starts: int, how: str = "hard") -> str:
    """Wait until it has started anew, after `starts` starts, and return the version that runs."""
    board.wait(lambda: how in board.starts[starts:])
    return running(board)


def _is_reset(line: str) -> bool:
    return line.startswith("rst:")


def _resets(board: VirtualBoard) -> int:
    return sum(start != "soft" for start in board.starts)


def test_fresh_board_becomes_a_node_and_the_second_deploy_writes_nothing(
    bench: Bench, virtual_board: Make
) -> None:
    """Code, config and keys go onto an empty flash; what is there already is not even touched."""
    board = virtual_board(blocks=64)
    said = bench.deploy(board)
    assert "config   node-1, new" in said
    assert "slot a" in said
    assert "link up" in said
    files = board.files()
    assert files["/slot"] == b"a\n"
    assert {name: files[f"/a/{name}"] for name in code("one")} == code("one")
    config = device_config.opened(files["/identity.json"]) or {}
    assert files["/identity.bak"] == files["/identity.json"]
    assert device_config.opened(files["/a/settings.json"]) == {"v": 1, "version": 1}
    for field in ("ca", "cert", "key"):
        assert (
            files[f"/{config[field]}"]
            == (bench.setup.layout.device("node-1") / f"{field}.der").read_bytes()
        )
    assert sum(path.endswith(".der") for path in files) == 3
    before = board.counters()
    said = bench.deploy(board, port=board.url)
    assert "nothing is new: nothing was copied" in said
    assert "link up" in said
    assert board.counters() == before


def test_clock_is_set_to_utc(bench: Bench, virtual_board: Make) -> None:
    """The board leaves 2000 for the time that it is, and keeps it over the reset."""
    board = virtual_board(blocks=64)
    bench.put("one", device__version="import time\nTEXT = str(time.gmtime()[0])\n")
    said = bench.deploy(board)
    year = said.partition("clock    ")[2][:4]
    assert year > "2025"
    assert running(board) == year


def test_one_changed_file_is_the_only_one_sent(bench: Bench, virtual_board: Make) -> None:
    """The other slot is filled from what is on the board; what is no longer wanted goes."""
    board = virtual_board(blocks=64)
    bench.put("one", gone="x = 1\n")
    bench.deploy(board)
    bench.put("two")
    said = bench.deploy(board)
    assert "2 files sent" in said  # and the list
    assert "4 copied on the board, slot b" in said
    assert running(board) == "two"
    bench.put("three")
    said = bench.deploy(board)
    assert "2 files sent" in said
    assert "copied" not in said.partition("slot a")[0]
    assert "/a/gone.py" not in board.files()
    assert running(board) == "three"


def test_slot_of_another_layout_becomes_flat(bench: Bench, virtual_board: Make) -> None:
    """Folders that the new code has not go with the old code, and a module is no settings for its
    name; code of the layout before is still what a board falls back to.
    """
    board = virtual_board(blocks=96)
    for version in ("one", "two"):
        bench.put(version)
        bench.deploy(board)
    flat = {name: data for name, data in code("three").items() if not name.startswith("node/")}
    flat |= {"settings.py": b"A = 1\n", "config.py": b"B = 1\n"}
    bench.code(flat)
    bench.deploy(board)
    assert running(board) == "three"
    assert board.folders() >= {"/a", "/a/device", "/b/node"}
    assert "/a/node" not in board.folders()
    assert board.files().keys() >= {f"/a/{name}" for name in (*flat, "settings.json")}
    bench.code(flat | {"device/guard.py": b"1 / 0\n"})
    assert "slot /b cannot start" in bench.refused(board)
    assert running(board) == "three"
    bench.code(flat)
    bench.deploy(board)
    assert "nothing is new" in bench.deploy(board)


def test_config_alone_takes_no_slot(bench: Bench, virtual_board: Make) -> None:
    """A new key or identity is sent and nothing else, in both copies; the next deploy removes what
    it replaced. So are settings, into the slot that runs.
    """
    board = virtual_board(blocks=64)
    bench.deploy(board)
    old = board.files()
    bench.setup.renew("node-1")
    bench.config(zone="attic")
    assert "config   node-1, changed" in bench.deploy(board)
    new = board.files()
    assert json.loads(new["/identity.json"])["zone"] == "attic"
    assert new["/identity.bak"] == new["/identity.json"]
    assert new["/slot"] == b"a\n"
    changed = {path for path in new if new[path] != old.get(path)}
    assert {path.split("-")[0] for path in changed if path.endswith(".der")} == {"/cert", "/key"}
    assert {p for p in changed if not p.endswith(".der")} == {"/identity.json", "/identity.bak"}
    bench.deploy(board)
    assert sum(path.endswith(".der") for path in board.files()) == 3
    bench.config(health_s=60)
    assert "1 file sent" in bench.deploy(board)
    newer = board.files()
    assert {path for path in newer if newer[path] != new.get(path)} == {"/a/settings.json"}
    assert json.loads(newer["/a/settings.json"]) == {"v": 1, "version": 2, "health_s": 60}


def test_config_goes_into_use_with_its_code(bench: Bench, virtual_board: Make) -> None:
    """Code and settings are new: one rename decides about both, and each slot has its own."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    bench.put("two")
    bench.config(health_s=60)
    bench.deploy(board)
    files = board.files()
    assert files["/slot"] == b"b\n"
    assert json.loads(files["/a/settings.json"]) == {"v": 1, "version": 1}
    assert json.loads(files["/b/settings.json"]) == {"v": 1, "version": 2, "health_s": 60}
    bench.put("three")
    bench.deploy(board)
    files = board.files()
    assert files["/a/settings.json"] == files["/b/settings.json"], "carried over as they are"


def test_interval_that_a_command_has_set_is_kept(bench: Bench, virtual_board: Make) -> None:
    """Settings that differ in nothing else are left alone, and that is said; new code gets them."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    board.power_cut()
    told = {"v": 1, "version": 5, "interval_s": 77}
    board.put({"/a/settings.json": json.dumps(told).encode()})
    board.power_on()
    assert "with the interval that was set by a Command" in bench.deploy(board)
    assert json.loads(board.files()["/a/settings.json"]) == told
    bench.put("two")
    assert "with the interval that was set by a Command" in bench.deploy(board)
    assert json.loads(board.files()["/b/settings.json"]) == told
    bench.config(health_s=60)
    assert "config   node-1, changed" in bench.deploy(board)
    assert json.loads(board.files()["/b/settings.json"])["version"] == 6


@pytest.mark.parametrize(
    "told",
    [
        b'{"v": 2, "version": 5}',
        b'{"v": 1, "version": 5, "interval_s": 0}',
        b'{"v": 1, "v": 1, "version": 5}',
        b"[" * 3000,
    ],
    ids=("format", "interval", "twice", "deep"),
)
def test_settings_that_the_node_would_refuse_are_replaced(
    bench: Bench, virtual_board: Make, told: bytes
) -> None:
    """Those of a later format, say, even where the rest of them is as it was."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    board.power_cut()
    board.put({"/a/settings.json": told})
    board.power_on()
    assert "config   node-1, changed" in bench.deploy(board)
    found = json.loads(board.files()["/a/settings.json"])
    assert found == {"v": 1, "version": 1 if told[:1] == b"[" else 6}


REFUSALS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "chip": ({"chip": "ESP32S3"}, {}, "This board has an ESP32S3, and esp32_devkit an ESP32."),
    "kind": ({}, {"name": "esp32c3_devkitm"}, "has an ESP32, and esp32c3_devkitm an ESP32C3."),
    "old": ({"release": "1.22.2"}, {}, "MicroPython 1.22.2 is too old: it takes 1.23 or later."),
    "umqtt": ({"umqtt": False}, {}, "This MicroPython was built without umqtt."),
    "device of before": (
        {"files": {"/config.json": json.dumps(fields("node-7")).encode()}},
        {},
        "This board is node-7, not node-1.",
    ),
    "device": (
        {"files": {f"/{n}": d for n, d in device_config.on_flash(fields("node-7")).items()}},
        {},
        "This board is node-7, not node-1.",
    ),
    "device of no such name": (
        {"files": {"/identity.json": b'{"v": 1, "device_id": "\\u001b[2J"}'}},
        {},
        "This board is another device, not node-1.",
    ),
}


@pytest.mark.parametrize("which", REFUSALS)
def test_wrong_board_is_left_as_it_is(bench: Bench, virtual_board: Make, which: str) -> None:
    """Another chip or device, or a MicroPython that will not do: nothing is written."""
    made, how, cause = REFUSALS[which]
    board = virtual_board(blocks=64, **made)
    before = board.counters()
    assert cause in bench.refused(board, **how)
    board.wait(lambda: board.starts[-1] == "hard")
    assert board.counters()[1] <= before[1] + 2  # an empty flash is formatted at its first boot
    assert set(board.files()) == set(made.get("files", {}))


def test_port_that_is_in_use_or_silent_is_named(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has it; or nobody answers there, three times."""
    board = virtual_board(blocks=64)
    other = open_port(board.port)
    assert bench.refused(board) == f"{board.port} is in use by another program."
    other.close()
    monkeypatch.setattr(remote, "_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"socket://127.0.0.1:{silent.getsockname()[1]}"
        assert bench.refused(board, port=url) == f"The board at {url} does not answer."


def test_replace_makes_it_another_device(bench: Bench, virtual_board: Make) -> None:
    """With --replace the board becomes the device that is deployed."""
    board = virtual_board(blocks=64, files={"/config.json": json.dumps(fields("node-7")).encode()})
    assert "device=node-1" in bench.deploy(board, replace=True)


def test_bad_folder_is_refused_before_the_port_is_opened(bench: Bench) -> None:
    """A config without Wi-Fi, and one that the node would refuse."""
    for change, cause in (
        ({"wifi_ssid": None}, "names no Wi-Fi: wifi_ssid must"),
        ({"port": 0}, "port must be"),
    ):
        bench.config(**{"wifi_password": None} | change)
        with pytest.raises(Problem, match=cause):
            deploy("esp32_devkit", port="/nowhere", fleet=bench.setup.layout.root)


def test_no_device_sends_code_alone(bench: Bench, virtual_board: Make, tmp_path: Path) -> None:
    """Where nothing is provisioned the board keeps what it was told, here before that were two
    files; of two devices one is named.
    """
    board = virtual_board(blocks=64, files={"/config.json": b'{"device_id": "own", "window": 3}'})
    deploy("esp32_devkit", port=board.port, fleet=fleet(tmp_path / "none"))
    assert running(board) == "one"
    files = board.files()
    for name in ("/identity.json", "/identity.bak"):
        assert device_config.opened(files[name]) == {"v": 1, "device_id": "own"}
    assert json.loads(files["/a/settings.json"]) == {"v": 1, "version": 1, "window": 3}
    assert "/config.json" not in files
    bench.setup.device(fields("node-2"))
    assert bench.refused(board) == "Which device will it be?"


def test_full_flash_says_so_and_nothing_is_written(bench: Bench, virtual_board: Make) -> None:
    """No room for a second slot: how much is missing, and the old version goes on."""
    board = virtual_board(blocks=40)
    bench.deploy(board)
    before, starts = board.files(), len(board.starts)
    bench.put("two", big="x" * 140_000)
    cause = bench.refused(board)
    assert cause.startswith("The board's file system lacks ")
    assert cause.endswith(" KB for the new version. The board keeps its old version.")
    assert restarted(board, starts) == "one"
    assert board.files() == before


def test_flash_that_fills_meanwhile_says_so(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be computed is noticed all the same (ENOSPC), and the old version goes on."""
    board = virtual_board(blocks=40)
    bench.deploy(board)
    starts = len(board.starts)
    bench.put("two", big="x" * 140_000)
    monkeypatch.setattr(slots, "missing_blocks", lambda *_: 0)
    assert bench.refused(board) == (
        "The board's file system is full. The board keeps its old version."
    )
    assert restarted(board, starts) == "one"
    bench.put("two")
    bench.deploy(board)
    assert running(board) == "two"


# Code that any config will do for, and code that never starts.
BROKEN = "import gone\n"
# As it was before config.next was left to main.py.
OLD_STARTERS = {
    "/boot.py": b"""
def choose():
    import os
    import sys
    try:
        with open("slot", "rb") as file:
            slot = file.read(1)
    except OSError:
        return
    if slot not in (b"a", b"b"):
        return
    folder = "/" + slot.decode()
    sys.path.insert(0, folder)
    try:
        os.rename(folder + "/config.next", "config.json")
    except OSError:
        pass
choose()
del choose
""",
    "/main.py": b"from device import guard\nguard.run()\n",
}


def zone(board: VirtualBoard) -> str:
    """The zone in the identity; both copies have it."""
    files = board.files()
    assert files["/identity.json"] == files["/identity.bak"]
    return str((device_config.opened(files["/identity.json"]) or {})["zone"])


def health(board: VirtualBoard) -> int:
    """What the settings of the slot that runs say of health; it tells one config from another."""
    slot = next(line for line in reversed(board.lines) if " node fw=" in line).split("slot=")[1][:2]
    found = json.loads(board.files()[f"{slot}/settings.json"])
    return int(found["health_s"])


def test_settings_of_code_that_cannot_start_are_not_used(bench: Bench, virtual_board: Make) -> None:
    """Both are new, and the code is broken: the old code runs with the old settings, and the next
    deploy brings the new ones all the same.
    """
    board = virtual_board(blocks=96)
    bench.config(health_s=11)
    bench.deploy(board)
    bench.put("two", device__guard=BROKEN)
    bench.config(health_s=12)
    assert "slot /b cannot start" in bench.refused(board)
    assert (running(board), health(board)) == ("one", 11)
    bench.put("three")
    bench.deploy(board)
    assert (running(board), health(board)) == ("three", 12)


@pytest.mark.parametrize("later", [False, True], ids=["with the code", "later"])
def test_slot_keeps_the_settings_of_its_time(
    bench: Bench, virtual_board: Make, later: bool
) -> None:
    """Code that breaks long after its deploy leaves the code before it with the settings that this
    had, whether those that are in use came with the code or later; but with the identity and the
    keys of today: what was replaced does not come back.
    """
    board = virtual_board(blocks=96)
    bench.config(health_s=11, zone="attic")
    bench.deploy(board)
    before = set(board.files())
    bench.put("two")
    if later:
        bench.deploy(board)
    bench.setup.renew("node-1")
    for number, name in ((12, "cellar"), (13, "garage")):
        bench.config(health_s=number, zone=name)
        bench.deploy(board)
        assert (running(board), health(board), zone(board)) == ("two", number, name)
    board.power_cut()
    board.put({"/b/device/guard.py": BROKEN.encode()})
    starts = len(board.starts)
    board.power_on()
    assert restarted(board, starts, "power-on") == "one"
    assert (health(board), zone(board)) == (11, "garage")
    board.power_cut()
    found = board.files()
    kept = device_config.opened(found["/identity.json"]) or {}
    assert {"/" + kept[name] for name in ("ca", "cert", "key")} <= set(found)
    assert "/" + kept["key"] not in before


def old_board(version: str, config: dict[str, Any], **more: str) -> dict[str, bytes]:
    """The flash of a board whose code, in slot a, is from before: it has one config.json."""
    guard = GUARD.replace('"identity.json"', '"config.json"')
    files = code(version, device__guard=guard, **more)
    old = {f"/a/{path}": data for path, data in files.items()} | OLD_STARTERS
    old |= {"/slot": b"a\n", "/config.json": json.dumps(config).encode()}
    old |= {"/a/config.last": json.dumps(config).encode()}
    return old | {f"/{name}-old.der": name.encode() for name in ("ca", "cert", "key")}


def old_zone(board: VirtualBoard) -> str:
    """The zone in the config of code from before."""
    return str(json.loads(board.files()["/config.json"])["zone"])


@pytest.mark.parametrize("starters", ["of then", "of b079fd8"])
def test_deploy_onto_a_board_of_an_older_version(
    bench: Bench, virtual_board: Make, starters: str
) -> None:
    """With the power cut at random operations: code and settings are a pair, old or new; the
    identity is the old one or the new one; the interval that a Command has set is kept; and code
    that is gone back to finds its config, in which the identity is today's.
    """
    chance = random.Random(6)
    ders = {name: f"{name}-old.der" for name in ("ca", "cert", "key")}
    config = fields("node-1") | WIFI | ders | {"zone": "old", "interval_s": 77, "window": 3}
    old = old_board("old", config)
    if starters == "of b079fd8":  # main.py is as today's but for its words
        old |= STARTERS
    bench.put("new")
    bench.config(zone="new", window=3, interval_s=10)
    cuts = [0, *(chance.randrange(1, 70) for _ in range(5))]
    for cut in cuts:
        board = virtual_board(blocks=96, files=old)
        board.wait_for("node fw=old")
        if cut:
            board.cut_after(cut)
            bench.refused(board)
            starts = len(board.starts)
            board.power_cycle()
            name = restarted(board, starts, "power-on") if told(board) else "new"
            assert name in ("old", "new")
            assert old_zone(board) in ("old", "new")
        bench.deploy(board)
        assert (running(board), zone(board)) == ("new", "new")
        own = json.loads(board.files()["/b/settings.json"])
        assert (own["interval_s"], own["window"]) == (77, 3)
        board.power_cut()
        found = board.files()
        assert "/a/config.last" not in found
        board.put({"/b/device/guard.py": BROKEN.encode()})
        starts = len(board.starts)
        board.power_on()
        assert restarted(board, starts, "power-on") == "old"
        kept = json.loads(board.files()["/config.json"])
        assert (kept["zone"], kept["interval_s"], kept["window"]) == ("new", 77, 3)
        assert kept["key"] == (device_config.opened(found["/identity.json"]) or {})["key"]
        bench.put("newer")
        bench.deploy(board)
        bench.put("newest")
        bench.deploy(board)
        assert running(board) == "newest"
        assert "/config.json" not in board.files(), "no code wants it any more"
        bench.put("new")


def told(board: VirtualBoard) -> bool:
    """Whether the code that runs finds what it was told; the guard of these tests does not split
    a config.json.
    """
    files = board.files()
    return files["/slot"] == b"a\n" or "/identity.json" in files


# --- cut off ------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that has lost its power is not waited for."""
    monkeypatch.setattr(remote, "_TIMEOUT_S", 3)


class Versions:
    """A board on which one version after another is deployed, each with a config of its own."""

    def __init__(self, bench: Bench, board: VirtualBoard) -> None:
        bench.untidy()
        self._bench = bench
        self._board = board
        self.number = -1
        for _ in range(3):
            self.next()
            taken, operations = board.taken, sum(board.counters())
            bench.deploy(board)
        # How much the third one took, as any that follows.
        self.taken, self.operations = board.taken - taken, sum(board.counters()) - operations

    def next(self) -> None:
        """The next one is what is deployed from here on. It is new in 6 KB of one file."""
        self.number += 1
        self._bench.put(f"v{self.number}", much=f"{self.number:06}\n" * 900)
        self._bench.config(zone=f"zone-{self.number}", health_s=100 + self.number)

    def check(self, cause: str) -> None:
        """What runs after a deploy that ended for `cause` is a whole version, and which one was
        said; the next deploy goes on and ends it.
        """
        files = self._board.files()
        for slot in "ab":
            # A list says that all is there.
            listed = json.loads(files.get(f"/{slot}/{LISTING}") or b'{"files": {}}')["files"]
            for name, digest in listed.items():
                assert sha256(files[f"/{slot}/{name}"]).hexdigest() == digest
        found = (running(self._board), health(self._board))
        may_be = {self.number} if "It has the new" in cause else {self.number - 1, self.number}
        if KEPT in cause:
            may_be = {self.number - 1}
        assert found in [(f"v{number}", 100 + number) for number in may_be]
        copies = [
            device_config.opened(files[f"/{name}"]) for name in ("identity.json", "identity.bak")
        ]
        zones = [(each or {})["zone"] for each in copies]
        assert set(zones) <= {f"zone-{self.number - 1}", f"zone-{self.number}"}
        assert zones[0] >= zones[1], "the first copy is the newer one"
        if "It has the new" in cause:
            assert zones == [f"zone-{self.number}"] * 2
        if KEPT in cause:
            assert zones == [f"zone-{self.number - 1}"] * 2
        self._bench.deploy(self._board)
        assert running(self._board) == f"v{self.number}"
        assert zone(self._board) == f"zone-{self.number}"


@pytest.mark.long
def test_cable_pulled_anywhere_leaves_a_whole_version(bench: Bench, virtual_board: Make) -> None:
    """At random bytes of a deploy: nobody feeds the watchdog any more, and that starts the old
    version, with its config.
    """
    chance = random.Random(4)
    board = virtual_board(blocks=96, haste=20)
    versions = Versions(bench, board)
    causes = []
    for _ in range(5):
        versions.next()
        starts = len(board.starts)
        board.unplug_after(chance.randrange(60, versions.taken))
        causes.append(bench.refused(board))
        restarted(board, starts, "watchdog")
        board.plug()
        versions.check(causes[-1])
    assert all("went away" in cause for cause in causes)
    assert sum(KEPT in cause for cause in causes) >= 4


@pytest.mark.long
def test_power_cut_anywhere_leaves_a_whole_version(bench: Bench, virtual_board: Make) -> None:
    """At random operations of the flash, torn: what boots is old code with the old config, or the
    new with the new.
    """
    chance = random.Random(5)
    board = virtual_board(blocks=96)
    versions = Versions(bench, board)
    causes = []
    for _ in range(6):
        versions.next()
        board.cut_after(chance.randrange(1, versions.operations))
        causes.append(bench.refused(board))
        starts = len(board.starts)
        board.power_cycle()
        restarted(board, starts, "power-on")
        versions.check(causes[-1])
    assert all("went away" in cause for cause in causes)


@pytest.mark.long
def test_power_cut_anywhere_leaves_one_identity(
    bench: Bench, virtual_board: Make, tmp_path: Path
) -> None:
    """At each operation of the flash of a deploy that brings an identity and settings: a boot takes
    the old identity or the new one, whole; and once the deploy has said that it is there, the old
    one is in neither copy.
    """
    board = virtual_board(blocks=64)
    bench.untidy()
    bench.deploy(board)
    board.power_cut()
    before, cut, cut_off = board.files(), 0, True
    bench.config(zone="attic", health_s=60)
    while cut_off:
        cut += 1
        board = VirtualBoard(tmp_path / f"cut-{cut}", blocks=64, files=before)
        with contextlib.closing(board):
            board.power_on()
            board.wait_for(" link up ")
            board.cut_after(cut)
            cause = ""
            try:
                bench.deploy(board)
                cut_off = False
            except Problem as error:
                cause = error.cause
            assert "It has the new" not in cause
            board.power_cut()
            found = board.files()
            copies = [found.get(name, b"") for name in ("/identity.json", "/identity.bak")]
            zones = [(device_config.opened(each) or {}).get("zone") for each in copies]
            # By the node's own rule: the first one that is whole.
            taken = device_config.opened(settings.mended(_at(found), _not_written, _not_said))
            assert taken
            assert taken["zone"] == zones[0] in ("desk", "attic")
            assert zones[1] in ("desk", zones[0])
            health_s = json.loads(found["/a/settings.json"]).get("health_s")
            assert health_s in ((60,) if zones[0] == "attic" else (None, 60))
            assert cut_off or zones == ["attic", "attic"]
    assert cut > 15


def _at(files: dict[str, bytes]) -> Callable[[str], bytes | None]:
    return lambda name: files.get(f"/{name}")


def _not_written(name: str, data: bytes) -> None:
    """Nothing is mended here."""


def _not_said(area: str, words: str) -> None:
    """Nor is it told."""


def test_code_that_cannot_start_is_replaced_and_not_what_runs(
    bench: Bench, virtual_board: Make
) -> None:
    """The board has gone back to the version before: that one is what a deploy keeps, and what an
    interrupted one leaves.
    """
    board = virtual_board(blocks=64)
    bench.deploy(board)
    bench.put("two", device__guard="import gone\n")
    cause = bench.refused(board)
    assert cause.startswith("The node cannot run: slot /b cannot start: ")
    assert running(board) == "one"
    bench.put("three")
    starts = len(board.starts)
    board.cut_after(10)
    assert KEPT in bench.refused(board)
    board.power_cycle()
    board.wait(lambda: board.starts[starts:].count("power-on") == 2)
    assert running(board) == "one"
    assert board.files()["/slot"] == b"a\n"
    bench.deploy(board)
    assert running(board) == "three"


@pytest.mark.long
def test_watchdog_is_fed_while_it_is_deployed_to(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deploy that takes longer than the watchdog waits is not bitten."""
    board = virtual_board(blocks=96, haste=12)  # 120 s are 10 s
    bench.put("one", **{f"more__m{number}": "x = 1\n" for number in range(12)})
    real = remote.Remote.write

    def slowly(self: remote.Remote, path: str, data: bytes, on_bytes: Any) -> None:
        time.sleep(0.5)
        real(self, path, data, on_bytes)

    monkeypatch.setattr(remote.Remote, "write", slowly)
    took_s = float(bench.deploy(board).partition(" bytes, in ")[2].split()[0])
    assert took_s > 10.1
    assert board.starts == ["power-on", "soft", "hard"]


def test_board_that_is_left_alone_starts_again(bench: Bench, virtual_board: Make) -> None:
    """Even a bare one has a watchdog from the first moment of a deploy on."""
    board = virtual_board(blocks=64, haste=40)
    board.unplug_after(3000)
    assert "went away" in bench.refused(board)
    board.wait(lambda: board.starts == ["power-on", "soft", "watchdog"])


def test_what_arrives_otherwise_is_not_put_in_use(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is compared with what was sent; the old version goes on."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    bench.put("two")
    real = remote.Remote.write

    def garbled(self: remote.Remote, path: str, data: bytes, on_bytes: Any) -> None:
        real(self, path, data[:-1] + b"?" if path.endswith("version.py") else data, on_bytes)

    monkeypatch.setattr(remote.Remote, "write", garbled)
    starts = len(board.starts)
    cause = bench.refused(board)
    assert cause == f"The board failed (/b/device/version.py is not what was sent). {KEPT}."
    assert restarted(board, starts) == "one"


def test_ctrl_c_leaves_the_old_version(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle resets the board at once, into what it ran before."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    bench.put("two")
    real = remote.Remote.write

    def interrupted(self: remote.Remote, path: str, data: bytes, on_bytes: Any) -> None:
        if path.endswith(LISTING):
            self._transport.exec_raw_no_follow("while True: pass")
            raise KeyboardInterrupt
        real(self, path, data, on_bytes)

    monkeypatch.setattr(remote.Remote, "write", interrupted)
    starts = len(board.starts)
    assert bench.refused(board) == "Stopped. The board keeps its old version."
    assert restarted(board, starts) == "one"


def test_ctrl_c_before_it_begins(
    bench: Bench, virtual_board: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while the node is being stopped lets it go on, and not when its watchdog bites."""
    board = virtual_board(blocks=64)
    bench.deploy(board)
    real = remote.SerialTransport.enter_raw_repl
    times = iter([True])

    def interrupted(self: Any, *how: Any, **more: Any) -> None:
        real(self, *how, **more)
        if next(times, False):
            raise KeyboardInterrupt

    monkeypatch.setattr(remote.SerialTransport, "enter_raw_repl", interrupted)
    starts = len(board.starts)
    with pytest.raises(KeyboardInterrupt):
        bench.deploy(board)
    assert restarted(board, starts) == "one"
    monkeypatch.undo()
    open_port(board.port).close()


@pytest.mark.long
def test_whole_node_comes_up(
    broker: RunningBroker, virtual_board: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The esp32_devkit's own code, on a 32-bit interpreter with a chip's heap: from an empty flash
    to a node whose Readings arrive.
    """
    layout = Layout(fleet(tmp_path / "dev"))
    broker.image(layout.device("node-2"), "node-2", **WIFI)
    layout.register("node-2", base("node-2"))
    operator = broker.operator()
    board = virtual_board(arch="i386", heap="160k")
    deploy("esp32_devkit", port=board.port, fleet=layout.root)
    assert "link up session=1" in capsys.readouterr().out
    assert wait_for_readings(operator, 0, device_id="node-2")
    assert board.starts == ["power-on", "soft", "hard"]


def test_node_that_waits_for_a_config_is_given_one(bench: Bench, virtual_board: Make) -> None:
    """Flashed without a device it listens on its console; mpremote gets in, and no code is sent."""
    whole = flash_files(facts("esp32_devkit"), None)
    code = {n.removeprefix("/a/"): data for n, data in whole.items() if n.startswith("/a/")}
    bench.code(code)
    bench.config(port=1)
    board = virtual_board(files=whole)
    board.wait_for("config missing")
    cause = bench.refused(board)
    assert cause.startswith("The node is not up after ")
    assert "(tcp-refused)" in cause
    assert "6 files sent" in bench.said()
