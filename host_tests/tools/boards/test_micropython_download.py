"""MicroPython's image from its download site: once, checked, or a Problem."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.boards import micropython_download
from limpet.boards.board_facts import BoardFacts, facts, names
from limpet.boards.micropython_download import DAY, IMAGES, SITE, VERSION, downloaded
from limpet.shared import installing
from limpet.shared.problem import Problem
from support.flashing import micropython_images as images
from support.web_site import Site
from support.web_site import site as open_site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """MicroPython's site, which has nothing yet, and a build folder that has nothing."""
    monkeypatch.setattr(installing, "settings", lambda _: {})
    monkeypatch.setattr(micropython_download, "CACHE", tmp_path / "build")
    with open_site(monkeypatch) as made:
        monkeypatch.setattr(micropython_download, "SITE", made.url("firmware/"))
        yield made


def has(site: Site, board: BoardFacts, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on `image` is what the site has for a Board, and what is known of it."""
    name, *_ = IMAGES[board.chip]
    site.pages = {f"/firmware/{name}-{DAY}-v{VERSION}.bin": image}
    row = (name, len(image), hashlib.sha256(image).hexdigest())
    monkeypatch.setitem(IMAGES, board.chip, row)


@pytest.mark.parametrize("name", names())
def test_downloaded_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The image of the Board's chip is there afterwards; the second time nobody is asked."""
    board = facts(name)
    has(site, board, images.image(board), monkeypatch)
    path = downloaded(board)
    assert path.read_bytes() == images.image(board)
    assert site.asked == [f"/firmware/{path.name}"]
    assert tmp_path / "build" in path.parents
    assert downloaded(board) == path
    assert len(site.asked) == 1


def test_variant_with_ota_is_for_the_user_to_get(site: Site) -> None:
    """A Board with two places for the app is told which file has them: its hash is not known."""
    board = BoardFacts("some_board", "esp32", 4, True, Path(), 26, ())
    name = f"ESP32_GENERIC-OTA-{DAY}-v{VERSION}.bin"
    with pytest.raises(Problem, match=re.escape(name)) as problem:
        downloaded(board)
    assert problem.value.remedy == f"Download it by hand and name it: --firmware {name}."
    assert site.asked == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [("nothing", "404 Not Found"), ("page", "not the one known"), ("truncated", "not the one")],
)
def test_what_did_not_come_is_said_and_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: str, said: str
) -> None:
    """No file, a page of excuses or half an image is a Problem, and the next try starts anew."""
    board = facts("esp32_devkit")
    image = images.image(board)
    has(site, board, image, monkeypatch)
    [(path, _)] = site.pages.items()
    sent = {"nothing": {}, "page": {path: b"<!DOCTYPE html>"}, "truncated": {path: image[:-1]}}
    site.pages = sent[kind]
    with pytest.raises(Problem, match=said):
        downloaded(board)
    site.pages = {path: image}
    assert downloaded(board).read_bytes() == image


def test_image_for_another_board_is_not_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is known, and is none for this chip after all, is refused like any other."""
    board = facts("esp32_devkit")
    has(site, board, images.image(facts("esp32c3_devkitm")), monkeypatch)
    for _ in range(2):
        with pytest.raises(Problem, match=r"esp32c3|ESP32-C3"):
            downloaded(board)
    assert len(site.asked) == 2


def test_without_network_a_file_can_be_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to download by hand is named in full."""
    site.server_close()
    with pytest.raises(Problem, match="could not be had") as problem:
        downloaded(facts("esp32_devkit"))
    assert f"--firmware ESP32_GENERIC-{DAY}-v{VERSION}.bin" in problem.value.remedy


def test_table_of_images() -> None:
    """Each chip of a Board has an image of its own, by name, size and hash."""
    assert set(IMAGES) == {facts(name).chip for name in names()}
    assert len({sha256 for _, _, sha256 in IMAGES.values()}) == len(IMAGES)
    assert all(re.fullmatch("[0-9a-f]{64}", sha256) for _, _, sha256 in IMAGES.values())
    assert all(size > 1_000_000 for _, size, _ in IMAGES.values())
    assert SITE.startswith("https://")
