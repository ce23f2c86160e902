"""groups: what a chip has of folders that only sort the sources, and that it runs there."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.node_host.bytecode import compiled
from limpet.node_host.groups import sources, ungrouped
from limpet.shared.problem import Problem
from support.micropython.upy import run

GROUPS = {"node.session": "node", "node.config": "node"}
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
print(name(), load("link").name(), config.NAME, NAME, another.__name__, talk.ping.SAID)
"""
FILES = {
    "main.py": "",
    "start_all.py": MAIN,
    "node/__init__.py": "",
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
    assert said == "node.session.link node.session.link é é node.config.other pong\n"
    (flat,), _ = compiled(folder)
    assert run(script, path=[flat]) == "node.link node.link é é node.other pong\n"


def test_files_lie_flat_on_a_chip(tmp_path: Path) -> None:
    """A folder without __init__.py within a package goes; a package stays, and so does a folder
    that lies in none, as umqtt does.
    """
    (found,) = sources(put(tmp_path, FILES))
    assert {str(each.name): each.path.relative_to(tmp_path).as_posix() for each in found} == {
        "main.py": "main.py",
        "start_all.py": "start_all.py",
        "node/__init__.py": "node/__init__.py",
        "node/link.py": "node/session/link.py",
        "node/config.py": "node/config/config.py",
        "node/other.py": "node/config/other.py",
        "node/talk/__init__.py": "node/session/talk/__init__.py",
        "node/talk/ping.py": "node/session/talk/ping.py",
        "umqtt/simple.py": "umqtt/simple.py",
    }
    assert {each.module for each in found} >= {"node", "node.talk", "node.link", "umqtt.simple"}


@pytest.mark.parametrize("other", ["node/link.py", "node/config/link.py", "node/link/__init__.py"])
def test_two_modules_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    """On a chip one would hide the other; so they are found here."""
    put(tmp_path, FILES | {other: ""})
    with pytest.raises(AssertionError, match=r"node\.link"):
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
    with pytest.raises(Problem, match=r"node\.session"):
        ungrouped(f"def load():\n    {line}\n", GROUPS)


def test_nothing_else_is_touched() -> None:
    """Comments, docstrings, attributes and texts that only begin alike stay, and so do lines."""
    source = '''"""Of node.session.link."""
import node, session, node.sessions.link  # node.session.link
from session import link
node.session.link = "session.link", "node.sessions.link", "see node.session.link"
from node.session import (
    link,
    other,
)
'''
    assert ungrouped(source, GROUPS) == source.replace("from node.session ", "from node ")
