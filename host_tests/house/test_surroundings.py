"""The tests hold however they were started: what would be inherited, and what is made of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from limpet.shared.paths import REPO
from support import surroundings
from support.micropython import upy

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


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="no /proc here")
def test_own_time_counts_sleep_and_work_and_nothing_else() -> None:
    """Ticks of upy.OWN_TIME never go back; of a second's wait for a core they know nothing."""
    script = """
import time, utime

def waited_us():
    with open("/proc/self/schedstat") as file:
        return int(file.read().split()[1]) // 1000

backwards, errors = 0, []
for _ in range(5):  # what comes between two looks is an error of this script
    last = began = time.ticks_us()
    real = utime.ticks_us()
    waited = waited_us()
    while utime.ticks_diff(utime.ticks_us(), real) < 300000:
        now = time.ticks_us()
        backwards += time.ticks_diff(now, last) < 0
        last = now
    own, real = time.ticks_diff(time.ticks_us(), began), utime.ticks_diff(utime.ticks_us(), real)
    errors.append(abs(real - own - (waited_us() - waited)))
print(backwards, min(errors) < 20000)
slept = []
for _ in range(5):  # Linux 6.12 and later may count the begin of a sleep as a wait for a core
    began = time.ticks_ms()
    time.sleep_ms(1000)
    slept.append(time.ticks_diff(time.ticks_ms(), began))
print(max(slept) > 500)
"""
    assert upy.run(script, path=[upy.OWN_TIME]) == "0 True\nTrue\n"


def test_busy_cores_are_over_with_their_command() -> None:
    """busy.py ends as its command does, and leaves no loop behind."""
    line = [sys.executable, str(REPO / "host_tests" / "busy.py"), sys.executable, "-c"]
    script = "import os; print(os.getppid()); raise SystemExit(7)"
    done = subprocess.run([*line, script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 7
    loops = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _ends(path, done.stdout)]
    assert not loops


def _ends(path: Path, word: str) -> bool:
    try:
        return path.read_bytes().split(b"\0")[-2:-1] == [word.strip().encode()]
    except OSError:  # it has gone meanwhile
        return False
