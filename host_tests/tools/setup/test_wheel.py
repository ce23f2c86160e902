"""The wheel: what it holds, and that an installed `limpet` does its work without a clone.

It goes into an environment that is empty but for what limpet needs, which is this one's, and is
used in an empty folder by a user who never had it before. Nothing of it needs the network.
"""

from __future__ import annotations

import email
import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.boards.board_facts import facts
from limpet.shared.firmware import version
from limpet.shared.paths import CACHE, REPO
from limpet.trial.outcome import OK
from support.flashing import micropython_images
from support.flashing.image_folders import files_in
from support.virtual_board.board import VirtualBoard

BUILD_S, RUN_S = 120, 240
# Where what git has lies in the wheel; the rest of the repository is not in it.
PLACES = {
    "tools/limpet/": "limpet/",
    "firmware/": "limpet/sources/firmware/",
    "lib/": "limpet/sources/lib/",
    "boards/": "limpet/sources/boards/",
    "docs/prometheus/limpet-alerts.yml": "limpet/sources/docs/prometheus/limpet-alerts.yml",
    "docs/prometheus/limpet-dashboard.json": "limpet/sources/docs/prometheus/limpet-dashboard.json",
}
# What a clone's build/ has for every test, and a user gets when it is needed first.
FETCHED = ("debian", "micropython", "umqtt")


def call(*words: str | Path, **how: object) -> str:
    """Run a program to its end, and return what it printed on both streams."""
    done = subprocess.run(
        list(map(str, words)), stdout=-1, stderr=subprocess.STDOUT, text=True, **how
    )  # type: ignore[call-overload]
    assert done.returncode == 0, done.stdout
    return str(done.stdout)


def built(source: Path, kind: str, folder: Path) -> Path:
    """Build a wheel or an sdist of the tree `source` with this environment's hatchling."""
    line = (sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", folder)
    call(*line, cwd=source, timeout=BUILD_S)
    [found] = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this clone."""
    return built(REPO, "wheel", tmp_path_factory.mktemp("wheel"))


class User:
    """Somebody who has `limpet` from a wheel, and an empty home; `folder` is where he works."""

    def __init__(self, limpet: Path, home: Path) -> None:
        self.folder = home / "work"
        self.folder.mkdir(parents=True)
        self._limpet = limpet
        kept = ("PATH", "MICROPYTHON", "UMQTT", "LD_LIBRARY_PATH")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= {"HOME": str(home), "PYTHONUTF8": "1"}
        for name in ("CACHE", "CONFIG", "DATA", "STATE"):
            self.env[f"XDG_{name}_HOME"] = str(home / name.lower())
        cache = home / "cache" / "limpet"
        cache.mkdir(parents=True)
        for path in (CACHE / name for name in FETCHED):
            if path.exists():
                (cache / path.name).symlink_to(path)

    def limpet(self, *words: str | Path) -> str:
        """Run `limpet` to its end, and return what it printed."""
        return call(self._limpet, *words, cwd=self.folder, env=self.env, timeout=RUN_S)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel; what else there is, but no limpet, comes from this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    call(sys.executable, "-m", "venv", "--without-pip", folder, timeout=BUILD_S)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--isolated", "--python", python, "install")
    call(*pip, "--no-index", "--no-deps", "--no-compile", wheel, timeout=BUILD_S)
    ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(call(python, "-I", "-c", ask, timeout=BUILD_S).strip())
    # A .pth is not read in a folder that a .pth names: the clone's own limpet stays out.
    (packages / "what-it-needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = call(python, "-I", "-c", "import limpet; print(limpet.__file__)", timeout=BUILD_S)
    assert Path(found.strip()).is_relative_to(packages)
    return folder


@pytest.fixture
def user(environment: Path, tmp_path: Path) -> User:
    """A new one for each test."""
    return User(environment / "bin" / "limpet", tmp_path / "home")


def content(wheel: Path) -> dict[str, bytes]:
    """What is in a wheel beside what is said about it, by name."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
        return {name: archive.read(name) for name in names}


def tracked() -> dict[str, bytes]:
    """What git has, or is about to be given, of what belongs into a wheel: by its name there."""
    line = ["git", "-C", str(REPO), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(line, capture_output=True, text=True, check=True).stdout.split("\0")
    found = {}
    for name in listed:
        for prefix, place in PLACES.items():
            if name.startswith(prefix) and (REPO / name).exists():
                found[place + name.removeprefix(prefix)] = (REPO / name).read_bytes()
    return found


def test_wheel_holds_what_git_has_and_no_more(wheel: Path) -> None:
    """Tools, firmware, lib/ and boards/, each file as it is: no test, no key, no cache."""
    held = content(wheel)
    assert sorted(held) == sorted(tracked())
    assert held == tracked()
    assert {"limpet/cli.py", "limpet/sources/firmware/main.py"} <= set(held)
    wrong = re.compile(r"host_tests|__pycache__|\.(pyc|mpy|key|der|pem|crt)$")
    assert not [name for name in held if wrong.search(name)]


def test_what_is_said_about_it(wheel: Path) -> None:
    """Its version is the firmware's, its license MIT by SPDX's name, with the text."""
    with zipfile.ZipFile(wheel) as archive:
        about = f"limpet-{version.VERSION}.dist-info"
        said = email.message_from_bytes(archive.read(f"{about}/METADATA"))
        assert archive.read(f"{about}/licenses/LICENSE") == (REPO / "LICENSE").read_bytes()
    assert (said["Name"], said["Version"]) == ("limpet", version.VERSION)
    assert said["License-Expression"] == "MIT"
    assert said["Requires-Python"] == ">=3.11"


def test_source_archive_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """`uv tool install` and pip may be given it: it holds all that the wheel is made from."""
    archive = built(REPO, "sdist", tmp_path / "sdist")
    with tarfile.open(archive) as tar:
        # Python 3.11 has filters from its fourth release on; it is our own archive in any case.
        filtered = getattr(tarfile, "data_filter", None)
        tar.extractall(tmp_path, **({"filter": filtered} if filtered else {}))
    again = built(tmp_path / archive.name.removesuffix(".tar.gz"), "wheel", tmp_path / "again")
    assert content(again) == content(wheel)


def test_version(user: User) -> None:
    """`limpet --version` is the firmware's version."""
    assert user.limpet("--version") == version.VERSION + "\n"


def test_alert_rules(user: User) -> None:
    """`limpet exporter --rules` has them where there is no clone."""
    rules = REPO / "docs" / "prometheus" / "limpet-alerts.yml"
    assert user.limpet("exporter", "--rules") == rules.read_text()


@pytest.mark.long
def test_first_minute(user: User) -> None:
    """`limpet run` in an empty folder: Readings arrive, and the folder stays empty."""
    said = user.limpet("run", "--seconds", "8")
    assert re.search(r"reading +\d+\.\d °C", said), said
    assert re.search(r"[1-9]\d* of \d+ Readings arrived", said), said
    assert not list(user.folder.iterdir())


@pytest.mark.long
def test_from_a_fleet_to_an_image(user: User, tmp_path: Path) -> None:
    """A fleet's folder, a device in it, and what goes onto its board."""
    firmware = tmp_path / "some.bin"
    firmware.write_bytes(micropython_images.image(facts("esp32_devkit")))
    user.env["WIFI_PASSWORD"] = "shells-and-sand"  # noqa: S105 - of no network
    user.limpet("init")
    user.limpet("provision", "node-2", "--broker", "192.0.2.1", "--wifi-ssid", "beach")
    words = ("--device", "node-2", "--firmware", firmware, "--out", "images")
    said = user.limpet("image", "esp32_devkit", *words)
    assert "node-2" in said
    files = files_in((user.folder / "images" / "esp32_devkit" / "vfs.bin").read_bytes())
    assert json.loads(files["/identity.json"])["wifi_ssid"] == "beach"
    assert {"/boot.py", "/main.py", "/a/modules"} <= set(files)
    # The fleet is where he works, and nothing of it elsewhere.
    assert not (user.folder.parent / "data").exists()


@pytest.mark.long
def test_board_is_tried(user: User, virtual_board: Callable[..., VirtualBoard]) -> None:
    """`limpet test-board` deploys the code of the wheel to a board, and finds nothing wrong."""
    user.env["WIFI_PASSWORD"] = "shells-and-sand"  # noqa: S105 - of no network
    at = ("--port", virtual_board().url, "--broker-host", "127.0.0.1", "--wifi-ssid", "beach")
    said = user.limpet("test-board", "esp32_devkit", *at, "--look", "8", "--out", "trial")
    rows = [line.split("|") for line in said.splitlines() if line.startswith("| ")][2:]
    assert {row[2].strip() for row in rows} == {OK}, said
    assert len(rows) >= 25
    assert "shells-and-sand" not in said
