"""A config that the node refuses, on the virtual board: ten minutes for who can mend it, and then
what was good before. But for the last tests app.py is a small one that knows few keys, and looks at
the settings alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import archive
from limpet.boards.board_facts import facts
from limpet.boards.node_files import code_files, flash_files
from limpet.brokers.setup import open_setup
from limpet.deploying.remote import Remote
from limpet.identity.device_config import encoded
from support.brokers.running import fields
from support.virtual_board.board import VirtualBoard
from support.virtual_board.cuts import cut_anywhere

Make = Callable[..., VirtualBoard]

# Takes a config whose keys it knows, says with which code it runs, and leaves the console.
APP = """
import json, sys
def build(rtc_state, crashes):
    with open(sys.path[0] + "/settings.json") as file:
        config = json.load(file)
    for name in config:
        if name not in {known}:
            print("refused", name)
            rtc_state.put("why", "config:" + name)
            return None
    print("runs", {version!r}, config["zone"], rtc_state.take("why"))
    return lambda: None
"""
# By which the virtual watchdog bites sooner: a fraction of a second for ten minutes.
HASTE = 1000
WAITS = "limpet: starts again in 10 minutes"


def slot(name: str, version: str, *known: str) -> dict[str, bytes]:
    """A slot with the real code, but for an app.py that knows these keys and `zone`."""
    code = code_files(facts("esp32_devkit"))
    del code["app.mpy"]
    app = APP.format(known=repr(("zone", *known)), version=version)
    return {f"/{name}/{path}": data for path, data in code.items()} | {
        f"/{name}/app.py": app.encode()
    }


def config(zone: str, **more: Any) -> bytes:
    """Settings."""
    return json.dumps({"zone": zone} | more).encode()


def starters() -> dict[str, bytes]:
    """What is in the root of a board whose slot a is in use."""
    whole = flash_files(facts("esp32_devkit"), None)
    identity = dict.fromkeys(("/identity.json", "/identity.bak"), b"{}")
    return identity | {path: whole[path] for path in ("/boot.py", "/main.py", "/slot")}


def test_new_code_that_refuses_its_config_is_left_for_the_old(virtual_board: Make) -> None:
    """Both are new and neither has worked: after ten minutes the old code runs with the old config,
    which tells why, and goes on to at the next boot.
    """
    files = starters() | slot("a", "one") | slot("b", "two") | {"/slot": b"b\n"}
    files |= {"/a/settings.json": config("old"), "/b/settings.json": config("new", colour=1)}
    board = virtual_board(files=files, haste=HASTE)
    board.wait_for("refused colour")
    board.wait_for(WAITS)
    board.wait_for("MicroPython v")
    board.wait_for("limpet: the config was refused, back to slot a")
    board.wait_for("runs one old config:colour")
    assert board.starts == ["power-on", "watchdog", "hard"]
    since = len(board.lines)
    board.power_cycle()
    board.wait_for("runs one old None", since)


def test_config_that_worked_comes_back(virtual_board: Make) -> None:
    """The code has run with another config before: it does again."""
    files = starters() | slot("a", "one", "colour") | slot("b", "two") | {"/slot": b"b\n"}
    board = virtual_board(files=files | {"/b/settings.json": config("first")}, haste=HASTE)
    for zone in ("first", "second"):
        board.power_cut()
        board.put({"/b/settings.json": config(zone)})
        since = len(board.lines)
        board.power_on()
        board.wait_for(f"runs two {zone}", since)
        board.wait_for("MicroPython v", since)
    board.power_cut()
    board.put({"/b/settings.json": config("third", colour=1)})
    since = len(board.lines)
    board.power_on()
    board.wait_for(WAITS, since)
    board.wait_for("limpet: the config was refused, back to the settings before", since)
    again = board.lines.index(board.wait_for("runs two second config:colour", since))
    board.wait_for("MicroPython v", again)
    files = board.files()
    assert files["/b/settings.json"] == files["/b/settings.last"] == config("second")


@pytest.mark.parametrize("what", ["config", "code"])
def test_what_was_mended_at_the_console_is_tried(virtual_board: Make, what: str) -> None:
    """Who has put another config there, or other code, and then pulls the cable, is not undone."""
    files = starters() | slot("a", "one") | slot("b", "two", "colour")
    files |= {"/a/settings.last": config("last"), "/a/settings.json": config("mended", colour=1)}
    files |= {"/b/settings.json": config("other")}
    board = virtual_board(files=files, haste=200)  # three seconds
    board.wait_for("refused colour")
    with Remote(board.port) as remote:
        if what == "config":
            remote.write("/a/settings.json", config("mended"), lambda _: None)
        else:
            remote.write("/slot", b"b\n", lambda _: None)
    board.wait(lambda: "watchdog" in board.starts)
    expected = "runs one mended" if what == "config" else "runs two other"
    board.wait_for(f"{expected} config:colour")


def test_nothing_to_fall_back_to_is_tried_again(virtual_board: Make) -> None:
    """There is no other slot, and no other config ever worked: every ten minutes, for ever."""
    board = virtual_board(
        files=starters() | slot("a", "one") | {"/a/settings.json": config("x", colour=1)},
        haste=HASTE,
    )
    board.wait(lambda: board.starts[:3] == ["power-on", "watchdog", "watchdog"])
    board.wait(lambda: sum(WAITS in line for line in board.lines) >= 3)
    assert not any("back to" in line or "Traceback" in line for line in board.lines)


def test_cut_anywhere_on_the_way_back_leaves_a_pair(tmp_path: Path) -> None:
    """With the power cut at each operation of the flash between the refusal and what is good."""
    files = starters() | slot("a", "one") | slot("b", "two", "size") | {"/slot": b"b\n"}
    files |= {"/a/settings.json": config("old"), "/b/settings.json": config("new", colour=1)}
    boards = cut_anywhere(tmp_path, "runs ", files=files, haste=10 * HASTE)
    for cut, board in enumerate(boards, 1):
        since = len(board.lines)
        board.power_on()
        assert board.wait_for("runs ", since).startswith("runs one old"), cut
    assert cut > 5


BAD_FLASH = b"""
import builtins
from real import *
real_open = builtins.open
def refusing(path, *how):
    if "settings.json" in path:
        raise OSError(5)
    return real_open(path, *how)
builtins.open = refusing
"""


def test_config_that_cannot_be_read_is_a_failure_of_flash(
    tmp_path: Path, virtual_board: Make
) -> None:
    """It is no refusal and takes nothing back: the node starts again at once, and counts that."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1") | {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"})
    files = flash_files(facts("esp32_devkit"), setup.layout.device("node-1"))
    files |= {"/a/settings.last": b"{}", "/a/board.py": BAD_FLASH}
    code = code_files(facts("esp32_devkit"))
    code["real.mpy"] = code.pop("board.mpy")
    files |= {f"/a/{name}": data for name, data in archive.packed(code).items()}
    board = virtual_board(files=files, haste=40)
    board.wait(lambda: board.starts[:2] == ["power-on", "hard"])
    said = "\n".join(board.lines)
    assert "OSError" in said
    assert "refused" not in said


@pytest.mark.parametrize(
    "folder",
    ["/identity.json", "/identity.bak", "/identity.json /identity.bak", "/a/settings.json"],
)
def test_folder_in_place_of_a_file_is_refused_by_name(
    tmp_path: Path, virtual_board: Make, folder: str
) -> None:
    """As a file is that is damaged: one copy of the identity will do, and nothing crashes."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1") | {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"})
    files = flash_files(facts("esp32_devkit"), setup.layout.device("node-1"))
    for path in folder.split():
        del files[path]
        files[f"{path}/x"] = b""
    board = virtual_board(files=files)
    if folder in ("/identity.json", "/identity.bak"):
        board.wait_for("device=node-1")
    else:
        field = "settings" if "settings" in folder else "identity"
        board.wait_for(f"config refused field={field} rule=")
        board.wait_for(WAITS)
    assert "Traceback" not in "\n".join(board.lines)


def test_identity_that_both_slots_refuse_changes_slots_once(virtual_board: Make) -> None:
    """Going on from slot to slot for ever would mend nothing: the second one waits for who does."""
    files = starters() | slot("a", "one") | slot("b", "two") | {"/slot": b"b\n"}
    files |= {f"/{name}/settings.json": config("x", colour=1) for name in ("a", "b")}
    board = virtual_board(files=files, haste=HASTE)
    board.wait(lambda: sum(WAITS in line for line in board.lines) >= 5)
    assert sum("back to slot" in line for line in board.lines) == 1
    assert board.starts[:4] == ["power-on", "watchdog", "hard", "watchdog"]
    since = len(board.lines)
    board.power_cut()
    assert board.files()["/slot"] == b"a\n"
    board.put({"/a/settings.json": config("mended")})
    board.power_on()
    board.wait_for("runs one mended", since)


def test_whole_node_says_why(tmp_path: Path, virtual_board: Make) -> None:
    """The esp32_devkit's own code: named on the console, and in the log of the boot after."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1") | {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"})
    files = flash_files(facts("esp32_devkit"), setup.layout.device("node-1"))
    good = files["/a/settings.json"]
    bad = encoded(json.loads(good) | {"colour": 1})
    # The node's own watchdog bites as soon; by then it has said what is looked for.
    board = virtual_board(
        files=files | {"/a/settings.last": good, "/a/settings.json": bad}, haste=HASTE
    )
    board.wait_for("config refused field=colour rule=unknown key")
    board.wait_for(WAITS)
    line = board.wait_for(" node boot=")
    assert "reset=watchdog" in line
    assert line.endswith("why=config:colour")
    board.power_cut()
    assert board.files()["/a/settings.json"] == good


def test_damaged_identity_takes_nothing_back(tmp_path: Path, virtual_board: Make) -> None:
    """Both copies are spoiled: it says so, and is tried again every ten minutes by the same code,
    which is not to blame. One copy that is spoiled is mended, and the node runs.
    """
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1") | {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"})
    whole = flash_files(facts("esp32_devkit"), setup.layout.device("node-1"))
    copy = whole["/identity.json"]
    bad = copy[:40] + bytes([copy[40] ^ 4]) + copy[41:]
    files = whole | {"/identity.json": bad, "/identity.bak": bad, "/a/settings.last": b"{}"}
    files |= {name.replace("/a/", "/b/"): whole[name] for name in whole if name.startswith("/a/")}
    board = virtual_board(files=files, haste=HASTE)
    board.wait(lambda: board.starts[:3] == ["power-on", "watchdog", "watchdog"])
    refusals = [line for line in board.lines if " config refused " in line]
    assert all(
        "field=identity rule=identity.json is damaged, and so is" in line for line in refusals
    )
    assert not any("back to" in line for line in board.lines)
    board.power_cut()
    assert board.files()["/slot"] == b"a\n"
    board.put({"/identity.bak": copy})
    since = len(board.lines)
    board.power_on()
    board.wait_for("config mended identity.json", since)
    board.wait_for("device=node-1", since)
    board.power_cut()
    assert board.files()["/identity.json"] == copy


def test_board_with_wifi_has_to_be_told_its_network(tmp_path: Path, virtual_board: Make) -> None:
    """A config without one is refused there, by field and rule; the laptop's Board takes it."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1"))
    board = virtual_board(
        files=flash_files(facts("esp32_devkit"), setup.layout.device("node-1")), haste=HASTE
    )
    board.wait_for("config refused field=wifi_ssid rule=must be given: the Board has Wi-Fi")
    board.wait(lambda: "watchdog" in board.starts)
