"""The file in which a slot has its modules, as `limpet deploy` makes it on a board: what is there
already is not sent again, and what runs afterwards is the node.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.boards.archive import NAME, packed
from limpet.boards.board_facts import facts
from limpet.boards.node_files import LISTING, code_files, flash_files
from limpet.deploying import deploy, remote, surveying
from limpet.deploying.remote import Remote
from limpet.shared.problem import Problem
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]
BOARD = facts("esp32_devkit")
RUNS = " config missing, waits for "


@pytest.fixture
def put(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[[VirtualBoard, str], str]:
    """Deploy the node with one module that ends with other bytes; returns what that said."""
    monkeypatch.setattr(remote, "_TIMEOUT_S", 3)

    def deployed(board: VirtualBoard, end: str) -> str:
        monkeypatch.setattr(deploy, "code_files", lambda _: code(end))
        capsys.readouterr()
        deploy.put(BOARD, board.port, None, None, False, None)
        return capsys.readouterr().out

    return deployed


def code(end: str) -> dict[str, bytes]:
    """The node's code, of which one module differs; what is behind byte code is not looked at."""
    files = code_files(BOARD)
    return files | {"link.mpy": files["link.mpy"] + end.encode(), LISTING: f'"{end}"'.encode()}


def runs(board: VirtualBoard, since: int) -> None:
    """Wait until the node has come as far as it comes without an identity."""
    board.wait_for(RUNS, since)


def test_module_that_differs_is_the_only_one_sent(virtual_board: Make, put: Any) -> None:
    """The others are copied on the board, from the file in the other slot or what is in its place;
    and the slot of before is still there to fall back to.
    """
    board = virtual_board()
    assert f"code     {len(code('x')) + 2} files sent" in put(board, "one")  # and the starters
    since = len(board.lines)
    said = put(board, "other")
    runs(board, since)
    sent, copied = said.split("code     ")[1].split(" files sent")[0], len(code("x")) - 2
    assert (sent, f"{copied} copied on the board, slot b" in said) == ("2", True)
    files = board.files()
    for slot, end in (("a", "one"), ("b", "other")):
        assert files[f"/{slot}/{NAME}"] == packed(code(end))[NAME]
    assert not [path for path in files if path.endswith(".part")]
    assert "nothing is new" in put(board, "other")
    board.power_cut()
    board.put({f"/b/{NAME}": files[f"/b/{NAME}"][:100]})
    since = len(board.lines)
    board.power_on()
    board.wait_for("limpet: slot /b cannot start", since)
    runs(board, since)


def test_deploy_that_was_cut_off_goes_on(virtual_board: Make, put: Any) -> None:
    """What the board has got of the file counts; and so it does not if it is of other code."""
    board = virtual_board()
    whole = board.taken
    put(board, "one")
    whole = board.taken - whole
    board = virtual_board()
    for share in (3, 3):
        board.unplug_after(whole // share)
        with pytest.raises(Problem, match="went away"):
            put(board, "one")
        board.power_cycle()
    begun = board.files()[f"/a/{NAME}"]
    assert packed(code("one"))[NAME].startswith(begun)
    assert len(begun) > 30_000
    taken, since = board.taken, len(board.lines)
    put(board, "one")
    assert board.taken - taken < 0.75 * whole
    runs(board, since)
    board.power_cut()
    board.put({f"/b/{NAME}": begun[:20_000] + b"other code"})
    since = len(board.lines)
    board.power_on()
    put(board, "two")
    runs(board, since)
    assert board.files()[f"/b/{NAME}"] == packed(code("two"))[NAME]


def test_slot_of_files_is_deployed_to_and_fallen_back_to(virtual_board: Make, put: Any) -> None:
    """Code from before lies in its slot file by file: it is left so, and filled anew like that."""
    old = {path: data for path, data in flash_files(BOARD, None).items() if path.count("/") == 1}
    old |= {f"/{slot}/{name}": data for slot in "ab" for name, data in code_files(BOARD).items()}
    board = virtual_board(files=old)
    runs(board, 0)
    since = len(board.lines)
    put(board, "new")
    runs(board, since)
    files = board.files()
    assert "/b/link.mpy" not in files
    assert files.keys() >= {f"/b/{NAME}", "/a/link.mpy", "/a/commands/ping.mpy"}
    assert "/b/commands" not in board.folders()
    board.power_cut()
    board.put({"/b/device/guard.mpy": b"broken"})
    since = len(board.lines)
    board.power_on()
    board.wait_for("limpet: slot /b cannot start", since)
    runs(board, since)


def test_deploys_do_not_make_it_slower(virtual_board: Make, put: Any, tmp_path: Path) -> None:
    """Each writes to the lists of files that all looks for a file read: they are made anew, and so
    as short as in an image.
    """
    board = virtual_board()
    counts = []
    for end in ("one", "two", "three", "four"):
        put(board, end)
        board.power_cut()
        since, before = len(board.lines), board.reads()
        board.power_on()
        runs(board, since)
        counts.append(board.reads() - before)
    print(counts)
    assert max(counts) <= 1_300, json.dumps(counts)


def test_cut_while_the_lists_are_made_anew(
    virtual_board: Make, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is there by then, and so it is said; an empty file that is left over in a
    slot goes when that is filled again.
    """
    board = virtual_board()
    tidy = surveying.tidy
    for cut, end in ((1, "one"), (20, "two"), (75, "three")):
        since = len(board.lines)

        def cut_off(remote: Remote, folders: list[str], cut: int = cut) -> None:
            remote.run(f"from flashbdev import bdev\nbdev._cut_at = sum(bdev._counts[:2]) + {cut}")
            tidy(remote, folders)

        monkeypatch.setattr(surveying, "tidy", cut_off)
        with pytest.raises(Problem, match="It has the new version"):
            put(board, end)
        board.power_cycle()
        runs(board, since)
        assert packed(code(end))[NAME] in board.files().values()
    monkeypatch.setattr(surveying, "tidy", tidy)
    put(board, "four")
    put(board, "five")
    assert not [path for path in board.files() if path.endswith(".part")]
