"""The tests hold however they were started: what would be inherited, and what is made of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import surroundings
from limpet.paths import REPO

RUDE = {
    "WIFI_PASSWORD": "shells-and-sand",
    "LIMPET_SPEED": "7",
    "LIMPET_NTP": "127.0.0.1:1",
    "MICROPYPATH": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONWARNINGS": "error",
    "PIP_USER": "1",
    "FORCE_COLOR": "1",
    "NO_COLOR": "1",
    "COLUMNS": "20",
    "MAKEFLAGS": "-n",
    "BOARD": "mine",
    "OPENSSL_CONF": "/nowhere",
    "GIT_DIR": "/nowhere",
}


def test_variables_that_programs_obey_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody has exported for make, pip, rich, git or limpet changes no test."""
    for name, value in RUDE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BROKER", "mosquitto")
    monkeypatch.setenv("LC_ALL", "C")
    surroundings.settle()
    assert not RUDE.keys() & os.environ.keys()
    assert (os.environ["BROKER"], os.environ["LC_ALL"]) == ("mosquitto", "C")


def test_programs_hear_ctrl_c_though_it_was_ignored(tmp_path: Path) -> None:
    """As under nohup, or in the background of a script: SIGINT is ignored, and inherited so."""
    (tmp_path / "test_it.py").write_text(
        "import signal, subprocess, sys\n"
        "def test_it():\n"
        "    line = 'import signal; print(signal.getsignal(signal.SIGINT))'\n"
        "    said = subprocess.check_output([sys.executable, '-c', line], text=True, timeout=60)\n"
        "    assert 'default_int_handler' in said\n"
    )
    line = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*line, "--rootdir", str(tmp_path), str(tmp_path)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPO / "host_tests")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
