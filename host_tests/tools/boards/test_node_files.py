"""What goes onto a node's file system: all of the node, byte code for any chip, always the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from zlib import crc32

import pytest
from limpet.boards import node_files
from limpet.boards.archive import NAME, packed, pieces
from limpet.boards.board_facts import facts, names
from limpet.boards.node_files import code_files, flash_files, own_files
from limpet.brokers.setup import open_setup
from limpet.identity.device_folder import checked
from limpet.shared.firmware import version
from limpet.shared.paths import BOARDS, CLIENTS, FIRMWARE, LIB, REPO
from limpet.shared.problem import Problem
from support.brokers.running import fields

AGAIN = """
import json, sys
from hashlib import sha256
from limpet.boards.board_facts import facts
from limpet.boards.node_files import code_files
files = code_files(facts(sys.argv[1]))
print(json.dumps([[name, sha256(data).hexdigest()] for name, data in files.items()]))
"""


# Drivers of sensors that no Board of ours has.
OTHERS = {"dht11", "ds18b20", "sht3x", "sht4x", "supply"}


@pytest.mark.parametrize("name", names())
def test_slot_holds_the_node_and_nothing_else(name: str) -> None:
    """Every module of firmware/ and lib/ and the Board's board.py is there, compiled, once, and
    flat, but for what main.py imports and the Commands; and no driver of a sensor that the Board
    has not, nor a client for other people's programs.
    """
    files = code_files(facts(name))
    wanted = {"board.mpy", "device/guard.mpy", "files.json"}
    for folder in (FIRMWARE, LIB):
        for path in folder.rglob("*.py"):
            if CLIENTS not in path.parents and path.stem not in ("boot", "main", "guard", *OTHERS):
                file = path.with_suffix(".mpy").name
                wanted.add(f"commands/{file}" if path.parent.name == "commands" else file)
    wanted -= {"__init__.mpy"}  # of node/ and device/, which are no packages on a chip
    assert set(files) == wanted
    assert list(files) == [*sorted(wanted - {"files.json"}), "files.json"]
    assert name.encode() in files["board.mpy"]


OURS = """
import helping
from sensing import Field, Sensor


class Ours(Sensor):
    fields = (Field("level", "m", 2, 0, 100, 1),)


def sensor(machine, gpio, echo_gpio):
    return Ours()
"""


def test_slot_holds_the_drivers_that_sensors_names(tmp_path: Path) -> None:
    """One line in SENSORS and one file, of lib/ or the Board's own, and what that imports; the
    Board's own goes before lib/'s, and what else lies beside it stays there.
    """
    ours = Path(shutil.copytree(BOARDS / "esp32_devkit", tmp_path / "greenhouse"))
    text = (ours / "board.py").read_text("utf-8")
    text = text.replace('NAME = "esp32_devkit"', 'NAME = "greenhouse"')
    line = 'SENSORS = (("dht22", 27), ("sht3x", (22, 21), "in"), ("ours", (25, 33)))\n'
    (ours / "board.py").write_text(text.replace('SENSORS = (("dht22", 27),)\n', line), "utf-8")
    (ours / "ours.py").write_text(OURS)
    (ours / "helping.py").write_text("HELP = 1\n")
    (ours / "sht4x.py").write_text((LIB / "sht4x.py").read_text("utf-8") + "\nOWN = 'mine'\n")
    (ours / "notes.py").write_text("NOTES = 1\n")
    bare = code_files(facts("esp32_devkit"))
    files = code_files(facts("greenhouse", own=tmp_path))
    more = {"sht3x.mpy", "sht4x.mpy", "ours.mpy", "helping.mpy"}
    assert files.keys() == bare.keys() | more
    assert b"mine" in files["sht4x.mpy"]
    assert json.loads(files["files.json"])["files"].keys() == files.keys() - {"files.json"}


def test_driver_with_the_name_of_a_module_of_the_node_is_refused(tmp_path: Path) -> None:
    """A slot is flat: one would hide the other."""
    ours = Path(shutil.copytree(BOARDS / "esp32_devkit", tmp_path / "greenhouse"))
    text = (ours / "board.py").read_text("utf-8")
    text = text.replace('NAME = "esp32_devkit"', 'NAME = "greenhouse"')
    (ours / "board.py").write_text(f"{text}\nimport status  # of its own\n", "utf-8")
    (ours / "status.py").write_text("STATUS = 1\n")
    with pytest.raises(Problem, match=r"status\.py of greenhouse has the name of a module of"):
        code_files(facts("greenhouse", own=tmp_path))


@pytest.mark.parametrize("name", names())
def test_byte_code_is_for_every_chip(name: str) -> None:
    """No file holds machine code, so that one compilation will do for every chip, and each is of
    version 6, which MicroPython 1.23 to 1.29 load; small integers have the 31 bits of the chip.
    """
    files = code_files(facts(name))
    heads = {data[:4] for path, data in files.items() if path.endswith(".mpy")}
    assert heads == {b"M\x06\x00\x1f"}


def test_modules_are_in_one_file() -> None:
    """All but what main.py imports and what reads that file; and in it they are as they were."""
    files = code_files(facts("esp32_devkit"))
    made = packed(files)
    assert set(made) == {NAME, "device/guard.mpy", "quick.mpy", "files.json"}
    index, *modules = pieces(made[NAME])
    assert index + b"".join(modules) == made[NAME]
    assert modules == [data for name, data in files.items() if name not in made]
    assert packed({"app.py": b"1", "files.json": b"2"}) == {"app.py": b"1", "files.json": b"2"}


def test_paths_that_the_index_cannot_tell_apart_are_refused() -> None:
    """Their CRC-32 is the same: it is all that the index knows of a module's path."""
    assert crc32(b"/plumless.mpy") == crc32(b"/buckeroo.mpy")
    with pytest.raises(Problem, match="has another one's CRC-32"):
        packed({"plumless.mpy": b"", "buckeroo.mpy": b""})


def test_listing_names_every_file() -> None:
    """files.json holds version, Board and the hash of every other file."""
    files = code_files(facts("esp32_devkit"))
    listing = json.loads(files.pop("files.json"))
    assert listing == {
        "version": version.VERSION,
        "board": "esp32_devkit",
        "files": {path: sha256(data).hexdigest() for path, data in files.items()},
    }


def test_the_same_each_time() -> None:
    """Another process gets the same bytes in the same order."""
    line = [sys.executable, "-c", AGAIN, "esp32_devkit"]
    printed = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    here = code_files(facts("esp32_devkit"))
    assert json.loads(printed) == [[path, sha256(data).hexdigest()] for path, data in here.items()]


def test_compiled_anew_gives_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept in build/ is what the compiler makes, and holds no path of this machine."""
    kept = code_files(facts("esp32_devkit"))
    monkeypatch.setattr("limpet.node_host.bytecode.CACHE", tmp_path)
    fresh = code_files(facts("esp32_devkit"))
    assert any(tmp_path.rglob("*.mpy"))
    assert fresh == kept
    assert not [path for path, data in fresh.items() if str(REPO).encode() in data]


def test_flash_is_slot_and_device(tmp_path: Path) -> None:
    """The whole file system: starters as source, the slot, and what the device has for itself."""
    setup = open_setup(tmp_path / "dev")
    setup.device(fields("node-1"))
    folder = setup.layout.device("node-1")
    board = facts("esp32s3_devkitc")
    bare = flash_files(board, None)
    assert bare["/slot"] == b"a\n"
    for name in node_files.STARTERS:
        assert bare[f"/{name}"] == (FIRMWARE / name).read_bytes()
    slot = {f"/a/{path}": data for path, data in packed(code_files(board)).items()}
    assert bare.items() >= slot.items()
    assert len(bare) == len(slot) + 3
    own = own_files(checked(folder))
    assert set(own) >= {"identity.json", "identity.bak", "a/settings.json"}
    assert flash_files(board, folder) == bare | {f"/{name}": data for name, data in own.items()}
