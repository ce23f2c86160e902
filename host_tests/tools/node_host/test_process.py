"""A node on this PC, and folders that cannot be its flash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from limpet.node_host.process import NodeProcess
from limpet.shared.problem import Problem
from support.tool import limpet


@pytest.fixture
def flash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modes count, also where root runs the tests, who may do anything."""

    def access(path: Path, mode: int) -> bool:
        return (os.stat(path).st_mode >> 6) & mode == mode

    monkeypatch.setattr("limpet.node_host.process.os.access", access)
    folder = tmp_path / "flash"
    folder.mkdir()
    for name in ("identity.json", "key.der", "outbox.0"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("name", "mode", "cause"),
    [
        (".", 0o500, "could not write into"),
        (".", 0o600, "could not write into"),
        ("outbox.0", 0o400, "could not read and write"),
        ("key.der", 0o000, "could not read"),
        ("identity.json", 0o200, "could not read"),
    ],
)
def test_what_a_node_could_not_use_is_named(flash: Path, name: str, mode: int, cause: str) -> None:
    """Before anything is started: the node itself would end in a traceback."""
    (flash / name).chmod(mode)
    try:
        with pytest.raises(Problem, match=cause) as caught:
            NodeProcess(flash)
        assert str(flash / name) in caught.value.cause
        assert "chown" in caught.value.remedy
    finally:
        (flash / name).chmod(0o700)


def test_keys_may_be_for_reading_alone(flash: Path) -> None:
    """As somebody may have made them."""
    for name in ("identity.json", "key.der"):
        (flash / name).chmod(0o400)
    NodeProcess(flash)


def test_as_a_process(tmp_path: Path) -> None:
    """A file system that is for reading alone, whoever asks."""
    done = limpet("node", "--root", "/proc/self")
    assert done.returncode == 1
    assert done.stderr.startswith("limpet: ")
    assert "Traceback" not in done.stderr
