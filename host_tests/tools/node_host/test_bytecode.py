"""bytecode: what of a source is left out on a chip, and that it runs without."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import pytest
from limpet.node_host import groups
from limpet.node_host.bytecode import compiled, names_in
from limpet.shared.problem import Problem
from support.micropython.upy import run

CARRIED_OUT = """
from micropython import const
_LIMIT = const(3)
said = "limit"  # which it keeps its name for
def limit():
    most = const(7)
    return _LIMIT, most
"""


def imported(folder: Path, text: str) -> str:
    """What a module of this text says, as byte code, of its names and of `limit`."""
    (folder / "one.py").write_text(text)
    (made,), _ = compiled(folder)
    script = "import one; print(hasattr(one, 'const'), one.limit())"
    return run(script, path=[made])


def test_const_is_not_imported(tmp_path: Path) -> None:
    """The compiler has carried it out: to import it takes 13 bytes of each module, and a name."""
    assert imported(tmp_path, CARRIED_OUT) == "False (3, 7)\n"


def test_const_is_imported_where_it_runs(tmp_path: Path) -> None:
    """Where it is a function like others the module has it."""
    text = CARRIED_OUT.replace("return _LIMIT, most", "return _LIMIT, const(most + 0)")
    assert imported(tmp_path, text) == "True (3, 7)\n"


def test_const_of_what_is_not_constant_is_refused(tmp_path: Path) -> None:
    """So nothing is left for a chip to carry out."""
    (tmp_path / "one.py").write_text("from micropython import const\nX = const(len('abc'))\n")
    with pytest.raises(Problem, match=r"one\.py") as problem:
        compiled(tmp_path)
    assert "not a constant" in problem.value.remedy


def test_one_thread_parses_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two at once make Python 3.11's ast.parse raise SystemError, now and then."""
    (tmp_path / "one.py").write_text("x = 1\n")
    within: list[int] = []
    most = 0

    def sources(*folders: Path) -> list[list[groups.Source]]:
        nonlocal most
        within.append(1)
        most = max(most, len(within))
        sleep(0.02)
        found = parsed(*folders)
        within.pop()
        return found

    parsed = groups.sources
    monkeypatch.setattr(groups, "sources", sources)
    with ThreadPoolExecutor(4) as pool:
        made = [pool.submit(compiled, tmp_path) for _ in range(4)]
        kept = [pool.submit(names_in, tmp_path) for _ in range(4)]
    assert len({str(each.result()[1]) for each in made}) == 1
    assert all(each.result() for each in kept)
    assert most == 1


def test_class_forgets_where_it_is_from(tmp_path: Path) -> None:
    """Two places in the dictionary of each; it is the same class else."""
    (tmp_path / "one.py").write_text(
        'class Said:\n    """é, and\n    more."""\n    x = 1\nclass Bare:\n    x = 2\n'
        'named = "Said Bare"  # so they keep their names\n'
    )
    (made,), _ = compiled(tmp_path)
    script = (
        "import one\n"
        'print([hasattr(each, "__module__") for each in (one.Said, one.Bare)])\n'
        "print(one.Said, one.Said.x, one.Said.__name__)\n"
    )
    assert run(script, path=[made]) == "[False, True]\n<class 'Said'> 1 Said\n"


def test_number_that_one_file_names_is_left_out(tmp_path: Path) -> None:
    """It stands where it is used; one that another file or a function changes stays a name."""
    (tmp_path / "one.py").write_text(
        "ALONE_HERE = 7\nSHARED = 8\nCHANGED = 9\n"
        "def run():\n    global CHANGED\n    CHANGED = 1\n"
        "    return ALONE_HERE, SHARED, CHANGED\n"
    )
    (tmp_path / "two.py").write_text("import one\ntold = one.SHARED\n")
    (made,), _ = compiled(tmp_path)
    script = (
        "import one; print(one.run(), sorted(v for v in one.__dict__.values() if type(v) is int))"
    )
    assert run(script, path=[made]) == "(7, 8, 1) [1, 8]\n"
