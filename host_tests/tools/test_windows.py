"""What Windows can do: nothing that only POSIX has is needed for it (docs/windows.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from limpet.boards.board_facts import facts
from limpet.brokers.setup import open_setup
from limpet.cli import command_line
from support import as_on_windows
from support.brokers.running import fields
from support.flashing import micropython_images
from support.fleets import fleet

TIMEOUT_S = 120
NOBODY = "1"  # a port on which nobody listens
VERBS = sorted(name for name in command_line() if not name.startswith("-"))


def on_windows(
    *words: str | Path, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `limpet` as on Windows in the folder `cwd`."""
    line = [sys.executable, "-X", "warn_default_encoding", as_on_windows.__file__, *words]
    how: dict[str, Any] = {"capture_output": True, "text": True, "timeout": TIMEOUT_S}
    return subprocess.run(line, cwd=cwd, env=env, **how)


def test_help_lists_every_command(tmp_path: Path) -> None:
    """For it every module of a command is imported."""
    done = on_windows("--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [name for name in VERBS if name not in done.stdout] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_command(verb: str, tmp_path: Path) -> None:
    """Each says what it takes."""
    done = on_windows(verb, "--help", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"limpet {verb}" in done.stdout


def test_device_and_its_image(tmp_path: Path) -> None:
    """From a fleet and a device to what goes onto its board; then `flash` looks for that board."""
    done = on_windows("init", "made", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made = ("--fleet", tmp_path / "made")
    told = {**os.environ, "WIFI_PASSWORD": "shells-and-sand"}
    words = ("node-2", "--broker", "192.0.2.1", "--wifi-ssid", "beach", *made)
    done = on_windows("provision", *words, cwd=tmp_path, env=told)
    assert done.returncode == 0, done.stderr
    device = tmp_path / "made" / "devices" / "node-2"
    done = on_windows("broker-config", "mosquitto", *made, cwd=tmp_path)
    assert "`limpet broker-config` does not run on Windows" in done.stderr
    assert json.loads((device / "identity.json").read_bytes())["wifi_ssid"] == "beach"
    done = on_windows("provision", "node-3", *made, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = on_windows("fleet", "remove", "node-3", "--yes", *made, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = on_windows("fleet", "list", "--json", *made, cwd=tmp_path)
    assert [each["device"] for each in json.loads(done.stdout)] == ["node-2"]

    firmware = tmp_path / "some.bin"
    firmware.write_bytes(micropython_images.image(facts("esp32_devkit")))
    parts = ("--device", device, "--firmware", firmware, "--out", tmp_path / "images")
    done = on_windows("image", "esp32_devkit", *parts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    image = tmp_path / "images" / "esp32_devkit"
    assert (image / "flash.bin").stat().st_size == 4 << 20

    port = f"socket://127.0.0.1:{NOBODY}"
    done = on_windows("flash", "esp32_devkit", "--image", image, "--port", port, cwd=tmp_path)
    assert f"{port} does not answer" in done.stderr
    done = on_windows("flash", "esp32_devkit", "--image", image, "--port", "COM99", cwd=tmp_path)
    assert "There is no COM99." in done.stderr


@pytest.mark.parametrize("verb", ["watch", "send"])
def test_operator(verb: str, tmp_path: Path) -> None:
    """It has an identity of its own, and asks a broker, which is not there."""
    open_setup(fleet(tmp_path)).device(fields("node-1"))
    words = ["node-1", "ping"] if verb == "send" else []
    at = ("--fleet", tmp_path, "--broker", "127.0.0.1", "--port", NOBODY)
    done = on_windows(verb, *words, *at, cwd=tmp_path)
    assert "There is no broker at 127.0.0.1:" in done.stderr


def test_top(tmp_path: Path) -> None:
    """Once; its keys, by Windows's own console, are not tried."""
    open_setup(fleet(tmp_path)).device(fields("node-1"))
    at = ("--fleet", tmp_path, "--broker", "127.0.0.1", "--port", NOBODY, "--seconds", "1")
    done = on_windows("top", *at, cwd=tmp_path)
    assert "no connection to 127.0.0.1:" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["run"], ["broker"], ["node", "--root", "."]])
def test_what_needs_another_system_says_so(words: list[str], tmp_path: Path) -> None:
    """Before it has made anything, in words."""
    done = on_windows(*words, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"limpet: `limpet {words[0]}` does not run on Windows")
    assert not list(tmp_path.iterdir())


def test_stand_in_takes_away_what_it_says() -> None:
    """From limpet's modules, and from nobody else: else the tests here could not fail."""
    ours, other = {"__name__": "limpet.shared.locks"}, {"__name__": "serial"}
    for name in as_on_windows.MODULES:
        with pytest.raises(ModuleNotFoundError):
            as_on_windows.import_as_there(name, ours)
    for module, names in as_on_windows.LACKS.items():
        seen = as_on_windows.import_as_there(module, ours)
        assert [name for name in names.split() if hasattr(seen, name)] == []
        assert as_on_windows.import_as_there(module, other) is sys.modules[module]
    seen = as_on_windows.import_as_there("os", ours)
    assert (seen.name, seen.sep) == ("nt", os.sep)
    with pytest.raises(PermissionError):
        seen.open(".", os.O_RDONLY)
