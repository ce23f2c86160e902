"""boot.py and main.py on the virtual board: which slot is run with which config, and what when one
is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.boards.board_facts import facts
from limpet.boards.node_files import LISTING, code_files
from limpet.shared.paths import FIRMWARE
from support.virtual_board.board import VirtualBoard
from support.virtual_board.cuts import cut_anywhere

Make = Callable[..., VirtualBoard]

START = {f"/{name}": (FIRMWARE / name).read_bytes() for name in ("boot.py", "main.py")}


GUARD = """import around
from device import where
def run():
    print('runs', where.{name} + around.{name})
"""


def slot(name: str, guard: str = "") -> dict[str, bytes]:
    """A slot that says its name, or whose guard is another."""
    code = guard or GUARD.format(name=name)
    return {
        f"/{name}/device/__init__.py": b"",
        f"/{name}/device/where.py": f"{name} = 'slot {name}'\n".encode(),
        f"/{name}/around.py": f"{name} = '.'\n".encode(),
        f"/{name}/device/guard.py": code.encode(),
        f"/{name}/{LISTING}": b"{}\n",
    }


def test_the_slot_in_use_is_run_with_the_config_that_came_with_it(virtual_board: Make) -> None:
    """The file `slot` says which; its config.next becomes the config, the other slot's stays."""
    files = START | slot("a") | slot("b") | {"/slot": b"b\n", "/config.json": b"old"}
    board = virtual_board(files=files | {"/b/config.next": b"new", "/a/config.next": b"older"})
    board.wait_for("runs slot b")
    board.wait_for("MicroPython v")
    found = board.files()
    assert found["/config.json"] == b"new"
    assert "/b/config.next" not in found
    assert found["/a/config.next"] == b"older"


# Says which code runs with which config.
PAIR = """from device import where
def run():
    with open('config.json') as file:
        print('runs', dir(where)[-1], file.read())
"""
TWO = {**START, **slot("a", PAIR), **slot("b", PAIR), "/slot": b"b\n"}
TWO |= {"/config.json": b"old", "/b/config.next": b"new"}


def pair(board: VirtualBoard, since: int = 0) -> list[str]:
    """Wait until a slot is run, and return which, and its config."""
    return board.wait_for("runs ", since).split()[1:]


BROKEN = {
    "missing module": "from device import gone\n",
    "cut short": "def run(:\n",
    "other error": "from device import where\nwhere.gone\n",
    "error beside": "import around\naround.gone\n",
}


@pytest.mark.parametrize("guard", BROKEN.values(), ids=BROKEN)
def test_slot_that_cannot_start_is_left_for_the_other(virtual_board: Make, guard: str) -> None:
    """Whatever is wrong with it; nothing of the broken slot's modules is used."""
    board = virtual_board(files=START | slot("a", guard) | slot("b") | {"/slot": b"a\n"})
    board.wait_for("runs slot b")
    assert board.wait_for("limpet: slot /a cannot start: ")
    assert board.starts == ["power-on"]


@pytest.mark.parametrize("guard", BROKEN.values(), ids=BROKEN)
def test_config_of_a_slot_that_cannot_start_is_not_used(virtual_board: Make, guard: str) -> None:
    """The other slot is run with its own config; and the new one once it is whole."""
    board = virtual_board(files=TWO | slot("b", guard))
    assert pair(board) == ["a", "old"]
    board.wait_for("MicroPython v")
    assert board.files()["/config.json"] == b"old"
    board.power_cut()
    board.put(slot("b", PAIR))
    since = len(board.lines)
    board.power_on()
    assert pair(board, since) == ["b", "new"]


def test_slot_that_breaks_later_takes_its_config_with_it(virtual_board: Make) -> None:
    """It ran, and does not any more: the other one has the config of its time; and back again."""
    board = virtual_board(files=TWO)
    for guard, expected in ((PAIR, ["b", "new"]), ("1 / 0", ["a", "old"])) * 2:
        board.power_cut()
        board.put(slot("b", guard))
        since = len(board.lines)
        board.power_on()
        assert pair(board, since) == expected
        board.wait_for("MicroPython v", since)


@pytest.mark.parametrize("breaks", [False, True], ids=["new", "falls back"])
def test_config_is_the_slots_own_after_a_cut_anywhere(tmp_path: Path, breaks: bool) -> None:
    """At each operation of the flash with which a new config is put in its place, or taken back:
    what runs is the new code with the new config or, if that breaks, the old with the old.
    """

    def ready(board: VirtualBoard) -> None:
        if breaks:
            board.power_on()
            board.wait_for("MicroPython v")
            board.power_cut()
            board.put(slot("b", "1 / 0"))

    boards = cut_anywhere(tmp_path, "MicroPython v", ready, blocks=64, files=TWO)
    for cut, board in enumerate(boards, 1):
        for guard, expected in ((PAIR, ["b", "new"]), ("1 / 0", ["a", "old"])) * 2:
            board.power_cut()
            board.put(slot("b", guard))
            since = len(board.lines)
            board.power_on()
            assert pair(board, since) == expected, cut
            board.wait_for("MicroPython v", since)
    assert cut > 2


@pytest.mark.parametrize("other", ["none", "unfinished", "broken"])
def test_without_a_good_slot_the_console_is_left(virtual_board: Make, other: str) -> None:
    """One line says what to do, and ten minutes later it is tried again: flash that could not be
    read may be read then. Another slot counts only when finished.
    """
    files = START | slot("b", "import gone\n") | {"/slot": b"b\n"}
    if other != "none":
        files |= slot("a", "1 / 0\n" if other == "broken" else "")
    if other == "unfinished":
        del files[f"/a/{LISTING}"]
    board = virtual_board(files=files, haste=600)
    board.wait_for("limpet: no slot can start, copy the code again: limpet deploy")
    board.wait_for("MicroPython v")
    board.wait(lambda: board.starts[:2] == ["power-on", "watchdog"])
    assert not [line for line in board.lines if "Traceback" in line or "runs" in line]


@pytest.mark.parametrize("content", [b"", b"x\n", b"\xff\xff", None])
def test_boot_bears_whatever_is_on_flash(virtual_board: Make, content: bytes | None) -> None:
    """A file `slot` that is empty, wrong, no text or a folder chooses nothing, and ends nothing."""
    odd = {"/slot/x": b""} if content is None else {"/slot": content}
    board = virtual_board(files=START | slot("a") | odd)
    board.wait_for("MicroPython v")
    assert "ImportError: no module named 'device'" in board.lines
    assert "runs slot a" not in board.lines


def test_code_without_its_app_ends_at_the_console(virtual_board: Make) -> None:
    """A module that is missing deeper down is a crash like any other; when safe mode lacks it too,
    the node stays at the console instead of resetting for ever.
    """
    code = code_files(facts("esp32_devkit"))
    del code["app.mpy"]
    files = START | {"/slot": b"a\n", "/config.json": b"{}"}
    board = virtual_board(files=files | {f"/a/{name}": data for name, data in code.items()})
    board.wait_for("limpet: not even safe mode is complete")
    board.wait_for("MicroPython v")
    assert board.starts == ["power-on", "hard", "hard", "hard"]
