"""groups: what a chip has of folders that only sort the sources, and that it runs there."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.node_host.bytecode import compiled
from limpet.node_host.groups import sources, ungrouped
from limpet.shared.problem import Problem
from support.micropython.upy import run

GROUPS = {"node": "", "node.session": "", "node.config": ""}
MAIN = """
import sys
from node.session import talk
from node.config import config, other as another
from node.config.config import NAME
from node.session.link import name
def unimport(*names):
    for each in names:
        del sys.modules[each]
unimport("node.session.link")
def load(last):
    return __import__("node.session." + last, None, None, ("name",))
from node import (
    top,  # of no group
    bottom,
)
from device import guard, flash as storage
print(name(), load("link").name(), config.NAME, NAME, another.__name__, talk.ping.SAID)
print(top.__name__, bottom.__name__, guard.__name__, storage.__name__, guard.flash.__name__)
"""
FILES = {
    "main.py": "",
    "start_all.py": MAIN,
    "node/__init__.py": '"""What it is."""\n',
    "node/top.py": "",
    "node/bottom.py": "",
    "device/__init__.py": "",
    "device/guard.py": "from device import flash\n",
    "device/flash.py": "",
    "node/session/link.py": "def name():\n    return __name__\n",
    "node/config/config.py": 'NAME = "é"; from node.session import link\n',
    "node/config/other.py": "",
    "node/session/talk/__init__.py": "from node.session.talk import ping\n",
    "node/session/talk/ping.py": 'SAID = "pong"\n',
    "umqtt/simple.py": "",
}


def put(folder: Path, files: dict[str, str]) -> Path:
    """Write these files below `folder`."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_same_with_and_without_groups(tmp_path: Path) -> None:
    """Sources run in their groups; byte code, without them, prints the same but for the names."""
    folder, script = put(tmp_path / "sources", FILES), "import start_all"
    said = run(script, path=[folder])
    here = ["node.session.link node.session.link é é node.config.other pong"]
    here += ["node.top node.bottom device.guard device.flash device.flash"]
    assert said.splitlines() == here
    (flat,), _ = compiled(folder)
    there = ["link link é é other pong", "top bottom device.guard flash flash"]
    assert run(script, path=[flat]).splitlines() == there


def test_files_lie_flat_on_a_chip(tmp_path: Path) -> None:
    """A folder without __init__.py within a package goes, and so does a package without code; one
    with code stays, and so does a folder that lies in none, as umqtt does, and the guard.
    """
    (found,) = sources(put(tmp_path, FILES))
    assert {str(each.name): each.path.relative_to(tmp_path).as_posix() for each in found} == {
        "main.py": "main.py",
        "start_all.py": "start_all.py",
        "top.py": "node/top.py",
        "bottom.py": "node/bottom.py",
        "link.py": "node/session/link.py",
        "config.py": "node/config/config.py",
        "other.py": "node/config/other.py",
        "talk/__init__.py": "node/session/talk/__init__.py",
        "talk/ping.py": "node/session/talk/ping.py",
        "device/guard.py": "device/guard.py",
        "flash.py": "device/flash.py",
        "umqtt/simple.py": "umqtt/simple.py",
    }
    assert {each.module for each in found} >= {"talk", "link", "device.guard", "umqtt.simple"}


@pytest.mark.parametrize("other", ["link.py", "node/config/link.py", "device/link.py"])
def test_two_modules_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    """On a chip one would hide the other; so they are found here."""
    put(tmp_path, FILES | {other: ""})
    with pytest.raises(Problem, match=r"link\.py would both be the module `link` on a chip"):
        sources(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "from node import session",
        "from node import link, session as one",
        "import node.session",
        "import node.session.link",
        "import node.session.link as link",
        'unimport("node.session")',
    ],
)
def test_a_group_itself_is_refused(line: str) -> None:
    """A chip has no such module, whoever would import it or let go of it."""
    with pytest.raises(Problem, match=r"`node(\.session)?` is a group"):
        ungrouped(f"def load():\n    {line}\n", GROUPS)


def test_nothing_else_is_touched() -> None:
    """Comments, docstrings, attributes and texts that only begin alike stay, and so do lines."""
    source = '''"""Of node.session.link."""
import session, nodes.sessions.link  # node.session.link
from session import link
node.session.link = "session.link", "nodes.session.link", "see node.session.link", "node"
'''
    assert ungrouped(source, GROUPS) == source


def test_what_a_group_has_is_imported_as_it_is() -> None:
    """From a group in none: the modules themselves, in one line of as many as there were."""
    source = "from node.session import (  # them\n    link,\n    other as one,\n); x = 1\n"
    assert ungrouped(source, GROUPS) == "import link, other as one\n\n\n; x = 1\n"
    inside = {"talk": "talking"}
    assert ungrouped("from talk import ping\n", inside) == "from talking import ping\n"
