"""MicroPython's image from its download site, by way of mpflash: once, checked, or a Problem."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import micropython_download
from limpet.boards.board_facts import BoardFacts, facts, names
from limpet.boards.micropython_download import LOCK, VERSION, downloaded
from limpet.shared import installing
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from support.flashing import micropython_images as images

STAND_IN = Path(images.__file__).with_name("mpflash_stand_in.py")


class Site:
    """What mpflash finds; `calls` is how often it was asked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def says(self, word: str, image: bytes = b"") -> None:
        """From now on the site does what `word` says: see mpflash_stand_in.py."""
        self._path.write_bytes(word.encode() + b"\n" + image)

    @property
    def calls(self) -> list[str]:
        """The boards that were asked for so far."""
        path = self._path.with_suffix(".calls")
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site that has nothing, and a build folder that has nothing."""
    monkeypatch.setenv("MPFLASH", str(STAND_IN))
    monkeypatch.setenv("STAND_IN", str(tmp_path / "site"))
    monkeypatch.setattr(micropython_download, "BUILD", tmp_path / "build")
    site = Site(tmp_path / "site")
    site.says("none")
    return site


@pytest.mark.parametrize("name", names())
def test_downloaded_once(site: Site, tmp_path: Path, name: str) -> None:
    """The image of the Board's chip is there afterwards; the second time nobody is asked."""
    board = facts(name)
    site.says("found", images.image(board))
    path = downloaded(board)
    assert path.read_bytes() == images.image(board)
    assert path.name == f"{site.calls[0]}-v{VERSION}.bin"
    assert tmp_path / "build" in path.parents
    site.says("none")
    assert downloaded(board) == path
    assert len(site.calls) == 1


def test_variant_with_ota(site: Site) -> None:
    """A Board with two places for the app gets the variant that has them."""
    board = BoardFacts("some_board", "esp32", 4, True)
    site.says("found", images.image(board, partitions=images.OTA_4MB))
    assert downloaded(board).name == f"ESP32_GENERIC-OTA-v{VERSION}.bin"


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("none", "could not be downloaded by mpflash"),
        ("page", "it begins with 0x3c"),
        ("stalled", "did not arrive within 0.2 s"),
    ],
)
def test_what_did_not_come_is_said_and_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch, word: str, said: str
) -> None:
    """No network, a page of excuses or a server that stalls is a Problem, and the next try starts
    anew.
    """
    board = facts("esp32_devkit")
    site.says(word)
    with monkeypatch.context() as patch:
        if word == "stalled":
            patch.setattr(micropython_download, "TIMEOUT_S", 0.2)
        with pytest.raises(Problem, match=said):
            downloaded(board)
    site.says("found", images.image(board))
    assert downloaded(board).is_file()


def test_truncated_download_is_not_kept(site: Site) -> None:
    """Half an image is noticed at once, and not kept for later."""
    board = facts("esp32_devkit")
    site.says("found", images.image(board)[:-1])
    with pytest.raises(Problem, match="truncated"):
        downloaded(board)
    site.says("found", images.image(board))
    assert downloaded(board).read_bytes() == images.image(board)


def test_wrong_mpflash_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in MPFLASH that leads nowhere is named as such."""
    monkeypatch.setenv("MPFLASH", "/nowhere/mpflash")
    with pytest.raises(Problem, match="mpflash cannot be run: No such file"):
        downloaded(facts("esp32_devkit"))


def test_mpflash_is_installed_from_the_lock(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets an environment of its own, every package by hash: the build backend alone first."""
    monkeypatch.delenv("MPFLASH")
    lines: list[list[str]] = []
    backend = ""

    def followed(line: list[str], *_: Any, **__: Any) -> tuple[int, list[str]]:
        nonlocal backend
        lines.append(line)
        if line[-1].endswith("backend.txt"):
            backend = Path(line[-1]).read_text()
        return 0, []

    for module in (micropython_download, installing):
        monkeypatch.setattr(module, "followed", followed)
    monkeypatch.setattr(installing, "settings", lambda _: {})
    with pytest.raises(Problem, match="could not be downloaded"):
        downloaded(facts("esp32_devkit"))
    venv, first, second, mpflash = lines
    assert venv[:3] == [sys.executable, "-m", "venv"]
    assert [line[-2:] for line in (first, second)] == [
        ["-r", str(tmp_path / "build/mpflash.new/backend.txt")],
        ["-r", str(LOCK)],
    ]
    assert all("--require-hashes" in line for line in (first, second))
    assert re.fullmatch(r"setuptools==[\d.]+ \\\n( +--hash=sha256:\w{64}( \\)?\n)+", backend)
    assert mpflash[:3] == [str(tmp_path / "build/mpflash/bin/python"), "-m", "mpflash.cli_main"]
    del lines[:]
    with pytest.raises(Problem, match="could not be downloaded"):
        downloaded(facts("esp32_devkit"))
    assert len(lines) == 1, "what is installed is installed again"


def test_no_index_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the package index cannot be reached, that is said, and nothing half made stays."""
    monkeypatch.delenv("MPFLASH")

    def followed(line: list[str], *_: Any, **__: Any) -> tuple[int, list[str]]:
        return int("install" in line), []

    for module in (micropython_download, installing):
        monkeypatch.setattr(module, "followed", followed)
    monkeypatch.setattr(installing, "settings", lambda _: {})
    for _ in range(2):
        with pytest.raises(Problem, match="could not be had from the index"):
            downloaded(facts("esp32_devkit"))


def test_lock_holds_mpflash() -> None:
    """Every package in the lock has a version and a hash, and mpflash is the one known."""
    lock = LOCK.read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())
    assert all(re.match(r"[\w.-]+==[\w.]+ ", entry) for entry in entries)
    assert all("--hash=sha256:" in entry for entry in entries)
    pins = re.findall(r"^[\w-]+==.*", LOCK.with_suffix(".in").read_text(), re.MULTILINE)
    assert len(pins) == 2
    assert all(f"\n{pin} " in lock for pin in pins)
    assert pins[1] in (REPO / "pyproject.toml").read_text()
