"""A flash on which identity and settings were one config.json, on the virtual board: the node makes
two files of it by itself, and the code from before finds what it needs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.boards.board_facts import facts
from limpet.boards.node_files import LISTING, code_files, flash_files
from limpet.identity import device_config, device_folder
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import config
from support.brokers.running import fields
from support.virtual_board.board import VirtualBoard
from support.virtual_board.cuts import cut_anywhere

Make = Callable[..., VirtualBoard]

# Every key that there was, none at its default.
ALL: dict[str, Any] = fields("node-1") | {
    "broker": "192.0.2.1",
    "port": 1884,
    "server_hostname": "broker.example",
    "ca": "ca-11111111.der",
    "cert": "cert-22222222.der",
    "key": "key-33333333.der",
    "username": "node-1",
    "password": 'caf\u00e9 "and" more',
    "interval_s": 77,
    "keepalive_s": 61,
    "handshake_s": 61,
    "window": 3,
    "clean_session": True,
    "telemetry_qos": 0,
    "command_qos": 2,
    "max_qos": 1,
    "retain": False,
    "hold_unheard": False,
    "outbox_readings": 300,
    "commit_after_s": 5,
    "backlog_rate": 7,
    "payload_max": 600,
    "health_s": 60,
    "ntp_servers": ["192.0.2.3"],
    "no_time_after_s": 60,
    "wifi_ssid": "beach",
    "wifi_password": "shells-and-sand",
    "allow_public_broker": True,
    "refuse_retained_commands": False,
}
# Code from before: it knows one file.
OLD_GUARD = """
import json
def run():
    with open("config.json") as file:
        found = json.load(file)
    print("runs old", found["zone"], found["interval_s"])
"""
RUNS = " node boot="


def flash(setup: Setup) -> dict[str, bytes]:
    """Slot a has code from before, finished; slot b, which is in use, has that of today."""
    setup.device(fields("node-1"))
    made = device_folder.checked(setup.layout.device("node-1"))
    ALL.update({name: made.fields[name] for name in ("ca", "cert", "key")})
    whole = flash_files(facts("esp32_devkit"), None)
    files = {path: whole[path] for path in ("/boot.py", "/main.py")} | {"/slot": b"b\n"}
    files |= {f"/b/{path}": data for path, data in code_files(facts("esp32_devkit")).items()}
    files |= {f"/{name}": data for name, data in made.files.items() if name.endswith(".der")}
    files |= {"/a/device/__init__.py": b"", "/a/device/guard.py": OLD_GUARD.encode()}
    files |= {f"/a/{LISTING}": b"{}\n", "/a/config.last": b"{}"}
    return files | {"/config.json": json.dumps(ALL).encode()}


def test_all_keys_are_there() -> None:
    """The config of these tests has each field of before, and splits as the tools split it."""
    since = {"more_brokers"}
    assert set(ALL) == set(device_config.FIELDS) - since
    assert device_config.parsed(ALL).interval_s == 77
    identity, own = config.split(ALL)
    assert len(identity) == 17
    assert len(own) == 20


def test_node_splits_its_config(setup: Setup, virtual_board: Make) -> None:
    """Nothing is lost, and the interval is what a Command has set; code from before runs with its
    config, and today's again with what it had.
    """
    board = virtual_board(files=flash(setup))
    board.wait_for(RUNS)
    board.power_cut()
    own = assert_split(board)
    assert json.loads(board.files()["/config.json"]) == ALL
    board.put({"/slot": b"a\n"})
    since = len(board.lines)
    board.power_on()
    board.wait_for("runs old desk 77", since)
    board.power_cut()
    # Another interval since, by the code of today: it is this slot's.
    own |= {"interval_s": 78, "version": 2}
    board.put({"/slot": b"b\n", "/b/settings.json": json.dumps(own).encode()})
    since = len(board.lines)
    board.power_on()
    board.wait_for(RUNS, since)
    assert json.loads(board.files()["/b/settings.json"]) == own


def assert_split(board: VirtualBoard) -> dict[str, Any]:
    """Everything is in one of the two, and both copies of the identity are there. The settings."""
    found = board.files()
    identity, own = config.split(ALL)
    assert device_config.opened(found["/identity.json"]) == identity
    assert found["/identity.bak"] == found["/identity.json"]
    assert device_config.opened(found["/b/settings.json"]) == own
    return dict(own)


def test_settings_alone_are_missing(setup: Setup, virtual_board: Make) -> None:
    """Code of today that came without settings, beside an identity: they are made of what is left
    from before; the identity stays as it is.
    """
    files = flash(setup)
    identity = config.split(ALL | {"zone": "attic"})[0]
    copy = device_config.sealed(identity)
    board = virtual_board(files=files | {"/identity.json": copy, "/identity.bak": copy})
    board.wait_for(" node boot=")
    board.power_cut()
    found = board.files()
    assert found["/identity.json"] == found["/identity.bak"] == copy
    assert json.loads(found["/b/settings.json"])["interval_s"] == 77


def test_no_code_of_before_needs_it(setup: Setup, virtual_board: Make) -> None:
    """Then config.json goes, with the password in it."""
    files = flash(setup)
    del files[f"/a/{LISTING}"]
    board = virtual_board(files=files)
    board.wait_for(RUNS)
    assert "/config.json" not in board.files()


def test_config_that_is_none_is_named(setup: Setup, virtual_board: Make) -> None:
    """One that is no JSON becomes nothing, which is said; what breaks a rule is named by its
    field.
    """
    files = flash(setup)
    for text, refusal in (
        (b"{", "field=identity rule=identity.json cannot be read"),
        (b"[1]", "field=identity rule=identity.json cannot be read"),
        (json.dumps(ALL | {"colour": 1}).encode(), "field=colour rule=unknown key"),
        (json.dumps(ALL | {"window": 99}).encode(), "field=window rule=must be 1 to 32"),
    ):
        board = virtual_board(files=files | {"/config.json": text})
        board.wait_for(f"config refused {refusal}")
        assert board.files()["/config.json"] == text


@pytest.mark.long
def test_power_cut_anywhere_while_it_is_split(setup: Setup, tmp_path: Path) -> None:
    """At each operation of the flash until the node runs: the next boot has all of it, and the code
    from before finds its config.
    """
    for cut, board in enumerate(cut_anywhere(tmp_path, RUNS, files=flash(setup)), 1):
        since = len(board.lines)
        board.power_on()
        assert board.wait_for(RUNS, since).endswith("device=node-1"), cut
        board.power_cut()
        assert_split(board)
        board.put({"/b/device/guard.mpy": b"broken"})
        since = len(board.lines)
        board.power_on()
        assert board.wait_for("runs ", since) == "runs old desk 77", cut
    assert cut > 10
