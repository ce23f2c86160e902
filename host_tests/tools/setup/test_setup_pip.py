"""How the set-up uses pip: with the user's index, without the user's habits; what it shows."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from limpet.shared import installing, progress
from limpet.shared.paths import REPO
from limpet.shared.progress import Line, followed

CONF = """
[global]
user = true
target = /elsewhere
index-url = https://index.example/simple
extra-index-url =
    https://one.example/simple
    https://two.example/simple
[install]
timeout = 7
no-binary = :all:
[download]
proxy = http://not.for.us:1
"""


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pip.conf for this test alone, with habits and an index in it; no variables of pip's."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    path = tmp_path / "pip.conf"
    path.write_text(CONF)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    return path


def wheel(folder: Path) -> Path:
    """Make the smallest package that pip installs."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in info.items():
            archive.writestr(f"tiny-1.0.dist-info/{name}", text)
    return path


@pytest.mark.parametrize("other", ["another pip", "none"])
def test_environment_without_pip(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """uv's environments have no pip: what the user's own one is told counts, else the variables."""
    python = tmp_path / "bare" / "bin" / "python"
    line = [sys.executable, "-m", "venv", "--without-pip", str(python.parent.parent)]
    subprocess.run(line, check=True, timeout=60)
    (tmp_path / "path").mkdir()
    if other == "another pip":
        pip = tmp_path / "path" / "pip3"
        pip.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pip "$@"\n')
        pip.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("PIP_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("PIP_USER", "1")
    found = installing.settings(python)
    wanted = {"proxy": "http://proxy.example:3128"}
    if other == "another pip":
        wanted |= {"index-url": "https://index.example/simple", "timeout": "7"}
        assert wanted.items() <= found.items()  # this machine may say more
    else:
        assert found == wanted


def test_index_is_kept_and_habits_are_not(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What says how an index is reached is taken, from file and variables; nothing else is."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://variable.example/simple")
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    found = installing.environment(sys.executable)
    wanted = {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_INDEX_URL": "https://variable.example/simple",
        "PIP_EXTRA_INDEX_URL": "\nhttps://one.example/simple\nhttps://two.example/simple",
        "PIP_TIMEOUT": "7",
        "PIP_NO_INPUT": "1",
    }
    assert wanted.items() <= found.items()
    assert found.get("PIP_PROXY") != "http://not.for.us:1"
    habits = {"PIP_USER", "PIP_TARGET", "PIP_REQUIRE_VIRTUALENV", "PIP_NO_BINARY"}
    assert not habits & found.keys()
    assert "PYTHONPATH" not in found
    assert found["PATH"] == os.environ["PATH"]


def test_habits_do_not_stop_the_set_up(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`user = true`, a target and the like break every install into an environment: not ours."""
    for name in ("PIP_USER", "PIP_REQUIRE_HASHES", "PIP_NO_INDEX"):
        monkeypatch.setenv(name, "1")
    line = Line("Trying", io.StringIO())
    code, said = installing.install(
        sys.executable, line, "--dry-run", "--no-deps", str(wheel(tmp_path))
    )
    assert (code, said[-1]) == (0, "Would install tiny-1.0")


def test_how_far_pip_is(tmp_path: Path) -> None:
    """Packages and megabytes by what pip says, and what lies in the environment."""
    said = [
        "Collecting amqtt==0.12.1 (from -r requirements.lock (line 1))",
        "  Downloading amqtt-0.12.1-py3-none-any.whl (129 kB)",
        "Collecting ruff==0.17.5 (from -r requirements.lock (line 9))",
        "  Downloading ruff-0.17.5.whl.metadata (5.9 kB)",
        "  Downloading ruff-0.17.5-py3-none-manylinux.whl (11.2 MB)",
        "Processing /wheels/attrs-26.1.0-py3-none-any.whl (from -r requirements.lock (line 5))",
    ]
    assert installing.how_far(said[:0], tmp_path) == ""
    assert installing.how_far(said, tmp_path) == "3 found, 11 MB"
    (tmp_path / "lib/python3.11/site-packages/ruff-0.17.5.dist-info").mkdir(parents=True)
    said.append("Installing collected packages: attrs, ruff, amqtt")
    assert installing.how_far(said, tmp_path) == "3 found, 11 MB, 1 installed"


class Clock:
    """A monotonic clock that a test sets."""

    now = 100.0

    def monotonic(self) -> float:
        """What it says."""
        return self.now


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_line_every_few_seconds(
    monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    """A log gets a line each 5 s, and none twice; a terminal one line that is written over."""
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(progress, "time", clock)
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setenv("TERM", "xterm")
    line = Line("Fetching", stream)
    for second in range(12):
        clock.now = 100 + second
        line.say(f"{second} of 12")
    line.end("all")
    if terminal:
        assert stream.getvalue().count("\n") == 1
        assert stream.getvalue().split("\r")[-1] == "limpet: Fetching: all, 11 s\x1b[K\n"
    else:
        assert stream.getvalue().splitlines() == [
            "limpet: Fetching",
            "limpet: Fetching: 5 of 12, 5 s",
            "limpet: Fetching: 10 of 12, 10 s",
            "limpet: Fetching: all, 11 s",
        ]


def test_line_keeps_its_end_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longest there, the packages of a slow set-up, still ends in how long it took."""
    titles = re.findall(
        r'install\(PYTHON, "([^"]+)"', (REPO / "tools/limpet_setup/venv.py").read_text()
    )
    assert len(titles) == 3
    clock, stream = Clock(), io.StringIO()
    monkeypatch.setattr(progress, "time", clock)
    for title in titles:
        line = Line(title, stream)
        clock.now += 599
        line.end("63 found, 34 MB, 63 installed")
    assert max(map(len, stream.getvalue().splitlines())) < 80


def test_command_is_followed_while_it_runs() -> None:
    """What it says is seen before it has ended; both streams, and the exit code."""
    script = """if True:
        import sys
        print("one", flush=True)
        sys.stdin.readline()
        print("two", file=sys.stderr, flush=True)
        sys.exit(3)"""
    seen: list[list[str]] = []
    assert followed([sys.executable, "-c", script], seen.append) == (3, ["one", "two"])
    assert seen[-1] == ["one", "two"]


def test_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A time limit holds for one that says no more, and it is gone afterwards."""
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    seen: list[str] = []

    def look(said: list[str]) -> None:
        seen[:] = said
        clock.now += 100 if said else 0

    hangs = [
        sys.executable,
        "-c",
        "import os, time; print(os.getpid(), flush=True); time.sleep(99)",
    ]
    with pytest.raises(subprocess.TimeoutExpired):
        followed(hangs, look, limit_s=50)
    with pytest.raises(ProcessLookupError):
        os.kill(int(seen[0]), 0)


def test_interrupted_command_is_ended() -> None:
    """Who is interrupted, alone and not its whole group, takes along what it follows."""
    script = """if True:
        import sys
        from limpet.shared.progress import followed
        hangs = "import os, time; print(os.getpid(), flush=True); time.sleep(99)"
        followed([sys.executable, "-c", hangs], lambda said: print(*said, flush=True))"""
    line = [sys.executable, "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        pid = int(next(text for text in process.stdout if text.strip()))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
