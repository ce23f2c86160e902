"""shared/locks.py: what is held, by whom, and what is left of it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from limpet.shared import locks
from limpet.shared.problem import Problem

HOLDS = """if True:
    import os, sys
    from limpet.shared import locks
    from pathlib import Path
    path = Path(sys.argv[2])
    if sys.argv[1] == "alone":
        held = locks.alone(path)
        held.__enter__()
    else:
        descriptor = os.open(path, os.O_RDONLY)
        assert locks.take(descriptor, shared=sys.argv[1] == "shared")
    print("holds", flush=True)
    sys.stdin.read()"""


@contextmanager
def another(how: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that holds `path`; it is killed at the end."""
    line = [sys.executable, "-c", HOLDS, how, str(path)]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "holds\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_taken_until_the_holder_ends(tmp_path: Path, kind: str) -> None:
    """A file, or a folder, is one process's until that ends, be it by kill -9; nothing is left."""
    path = tmp_path if kind == "folder" else tmp_path / "key"
    if kind == "file":
        path.write_text("a key")
        path.chmod(0o400)
    before = os.listdir(tmp_path)
    descriptor = os.open(path, os.O_RDONLY)
    with another("exclusive", path):
        assert not locks.take(descriptor)
        assert not locks.take(descriptor, shared=True)
    assert locks.take(descriptor)
    os.close(descriptor)
    assert os.listdir(tmp_path) == before


def test_many_share(tmp_path: Path) -> None:
    """Whoever shares lets others share, and nobody have it alone."""
    ours, theirs = os.open(tmp_path, os.O_RDONLY), os.open(tmp_path, os.O_RDONLY)
    with another("shared", tmp_path):
        assert locks.take(ours, shared=True)
        assert not locks.take(theirs)
    assert not locks.take(theirs)
    os.close(ours)
    assert locks.take(theirs)
    os.close(theirs)


def test_alone_until_the_holder_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who waits says so, and gives up after its limit; the file of a killed holder keeps nobody
    off, and is gone in the end.
    """
    monkeypatch.setattr(locks, "TELL_S", 0.0)
    path = tmp_path / "lock"
    with another("alone", path):
        held = pytest.raises(Problem, match=f"Another process holds {path}")
        with held, locks.alone(path, "waiting", limit_s=0.1):
            pass
        assert capsys.readouterr().err == "limpet: waiting\n"
    assert path.exists()
    with locks.alone(path, "waiting"):
        assert path.exists()
    assert os.listdir(tmp_path) == []
    assert capsys.readouterr().err == ""


def test_alone_in_turn(tmp_path: Path) -> None:
    """Several processes that come and go never hold it together, though the file goes each time."""
    script = """if True:
        import os, sys
        from limpet.shared import locks
        from pathlib import Path
        folder = Path(sys.argv[1])
        for _ in range(100):
            with locks.alone(folder / "lock"):
                os.close(os.open(folder / "within", os.O_CREAT | os.O_EXCL))
                os.unlink(folder / "within")"""
    line = [sys.executable, "-c", script, str(tmp_path)]
    running = [subprocess.Popen(line) for _ in range(4)]
    assert [process.wait(120) for process in running] == [0] * 4
    assert os.listdir(tmp_path) == []
