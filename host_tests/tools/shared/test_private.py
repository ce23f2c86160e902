"""Files for the owner alone: what is on the disk when the power goes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from limpet.shared import private


class Disk:
    """Notes in which order files are put on the disk (fsync) and get their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[str] = []
        self._fsync, self._replace, self._rename = os.fsync, os.replace, os.rename
        monkeypatch.setattr(os, "fsync", self._synced)
        monkeypatch.setattr(os, "replace", self._replaced)
        monkeypatch.setattr(os, "rename", self._renamed)

    def _synced(self, descriptor: int) -> None:
        info = os.fstat(descriptor)
        folder = stat.S_ISDIR(info.st_mode)
        self.steps.append("names" if folder else f"{info.st_size} bytes")
        self._fsync(descriptor)

    def _replaced(self, old: str, new: Path) -> None:
        self._replace(old, new)
        self.steps.append(f"is {Path(new).name}")

    def _renamed(self, old: Path, new: Path) -> None:
        self._rename(old, new)
        self.steps.append(f"is {new.name}")


def test_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First what is in it, then its name, then the folder that holds the name."""
    disk = Disk(monkeypatch)
    private.write(tmp_path / "key", b"secret")
    assert disk.steps == ["6 bytes", "is key", "names"]
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_folder_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file in it, and then the folder as a whole."""
    disk = Disk(monkeypatch)
    with private.new_folder(tmp_path / "ca") as draft:
        private.write(draft / "key", b"secret")
        private.write(draft / "certificate", b"public")
    file = ["6 bytes", "is key", "names", "6 bytes", "is certificate", "names"]
    assert disk.steps == [*file, "is ca", "names"]
    assert stat.S_IMODE((tmp_path / "ca").stat().st_mode) == 0o700


def test_disk_that_refuses_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be put on the disk does not get the name of what is there."""
    path = tmp_path / "key"
    private.write(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        private.write(path, b"new")
    assert caught.value.filename == str(path)
    assert [each.name for each in tmp_path.iterdir()] == ["key"]
    assert path.read_bytes() == b"old"
