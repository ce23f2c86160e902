"""The variables of `make`: what a user says reaches the tools letter for letter."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from limpet.shared.paths import REPO

# Stands in for each program below .venv/bin: writes down its name, its words and what it is told.
STAND_IN = """\
#!{python} -I
import json, os, sys
told = {{name: os.environ.get(name) for name in ("BROKER", "WIFI_PASSWORD", "PYTHONPATH")}}
with open({log!r}, "a") as log:
    print(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], told]), file=log)
"""
NASTY = [
    "My Downloads/mp.bin",
    "Cash$Money",
    "Cash$$(shell touch ran)`touch ran`$(touch ran)",
    'My "5G" net',
    "it's",
    "'; touch ran; '",
    "a#b\\",
    "-x=y",
    "~*?[a]{b,c}!&|<>;",
    "Café",
]
# Each target, its variables that reach a program as options, and which program that is.
OPTIONS = {
    "run": {"SECONDS": "--seconds", "SENSORS": "--sensors"},
    "image": {
        "DEVICE": "--device",
        "FIRMWARE": "--firmware",
        "FLASH": "--flash",
        "FLEET": "--fleet",
    },
    "flash": {"PORT": "--port", "BAUD": "--baud", "FLEET": "--fleet"},
    "test-board": {
        "PORT": "--port",
        "BROKER_HOST": "--broker-host",
        "WIFI_SSID": "--wifi-ssid",
        "LISTEN": "--listen",
        "PATIENCE": "--patience",
        "LOOK": "--look",
        "JSON": "--json",
        "FLEET": "--fleet",
    },
    "deploy": {"PORT": "--port", "DEVICE": "--device", "FLEET": "--fleet"},
    "wokwi": {"BROKER": "--broker", "FIRMWARE": "--firmware", "FLEET": "--fleet"},
    "cluster": {
        "CLUSTER": "--cluster",
        "SECONDS": "--seconds",
        "NODES": "--nodes",
        "BROKERS": "--brokers",
    },
    "chaos": {"BROKER": "--broker", "SEED": "--seed", "FAULTS": "--faults"},
    "bench": {"AGAINST": "--against"},
}
BOARDS = ("image", "flash", "deploy", "test-board", "wokwi")


class Clone:
    """A folder with our Makefile, whose programs are stand-ins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path / "log"
        for name in ("Makefile", "boards"):
            (path / name).symlink_to(REPO / name)
        (path / ".venv" / "bin").mkdir(parents=True)
        for name in ("limpet", "python", "pytest", "ruff", "mypy", "hatchling", "python other"):
            program = path / ".venv" / "bin" / name
            program.write_text(STAND_IN.format(python=sys.executable, log=str(self._log)))
            program.chmod(0o755)

    def make(self, *words: str, told: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        """Run make, with nothing in the environment but `told`."""
        line = ["make", "-C", str(self.path), "--no-print-directory", "-o", "venv", *words]
        env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | (told or {})
        assert shutil.which("make")
        return subprocess.run(line, capture_output=True, text=True, timeout=60, env=env)

    def calls(self) -> list[tuple[str, list[str], dict[str, str | None]]]:
        """What the programs were called with, in order."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        return [tuple(json.loads(line)) for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone for one test."""
    return Clone(tmp_path)


@pytest.mark.parametrize("how", ["command line", "environment"])
@pytest.mark.parametrize("target", OPTIONS)
def test_each_variable_arrives_as_it_was_said(clone: Clone, target: str, how: str) -> None:
    """Blanks, quotes, dollars and back-quotes are letters; nothing of it is run or expanded."""
    for turn in range(len(NASTY)):
        # Each variable gets each text once, and another than its neighbours.
        said = dict(zip(OPTIONS[target], NASTY[turn:] + NASTY[:turn], strict=False))
        board = {"BOARD": "esp32_devkit"} if target in BOARDS else {}
        told = said | board if how == "environment" else {}
        words = [] if told else [f"{name}={text}" for name, text in (said | board).items()]
        done = clone.make("-o", "setup", target, *words, told=told)
        assert done.returncode == 0, done.stderr
        wanted = {f"{OPTIONS[target][name]}={text}" for name, text in said.items()}
        assert wanted <= set(clone.calls()[-1][1])
    left = sorted(path.name for path in clone.path.iterdir())
    assert left == [".venv", "Makefile", "boards", "log"]


@pytest.mark.parametrize("target", OPTIONS)
def test_dry_run_shows_what_would_be_run(clone: Clone, target: str) -> None:
    """What `make -n` prints can be given to a shell: it says the same."""
    for text in NASTY:
        words = [f"{name}={text}" for name in OPTIONS[target]]
        words += ["BOARD=esp32_devkit"] if target in BOARDS else []
        done = clone.make("-n", "-o", "setup", target, *words)
        assert done.returncode == 0, done.stderr
        found = shlex.split(done.stdout.replace("\\\n", " "))
        assert {f"{option}={text}" for option in OPTIONS[target].values()} <= set(found)
    assert clone.calls() == []


def test_every_variable_of_the_makefile_is_tried() -> None:
    """A variable that is new in the Makefile is in a test here."""
    text = (REPO / "Makefile").read_text()
    used = set(re.findall(r"(?<![.\w])([A-Z][A-Z_]+)\b=?(?=[),])", text)) - {"MAKECMDGOALS"}
    tried = {name for options in OPTIONS.values() for name in options}
    assert used == tried | {
        *("ARGS", "BOARD", "BROKER", "BUSY", "ERASE", "JOBS", "PYTHON", "VERSIONS")
    }


@pytest.mark.parametrize("text", ["esp32_devkit", "my board", "it's $x"])
def test_board(clone: Clone, text: str) -> None:
    """A Board is one word, before all options."""
    for target in BOARDS:
        assert clone.make("-o", "setup", target, f"BOARD={text}").returncode == 0
        program, words, _ = clone.calls()[-1]
        assert (program, words[:2]) == ("limpet", [target, text])


@pytest.mark.parametrize("target", BOARDS)
def test_without_a_board(clone: Clone, target: str) -> None:
    """Which Boards there are is said, before anything is done."""
    done = clone.make("-o", "setup", target)
    assert done.returncode == 2
    assert "Say BOARD=, one of: esp32_devkit esp32c3_devkitm esp32s3_devkitc." in done.stderr
    assert clone.calls() == []


def test_wheel_is_built_without_the_network(clone: Clone) -> None:
    """By the hatchling of .venv, which has all that it needs: not by pip, which would fetch it."""
    assert clone.make("wheel").returncode == 0
    assert [call[:2] for call in clone.calls()] == [("hatchling", ["build", "-d", "dist"])]


def test_erase_takes_one_word(clone: Clone) -> None:
    """Only ERASE=1 takes a node's Readings away: neither 0 nor `no` does, nor anything else."""
    board = "BOARD=esp32_devkit"
    clone.make("flash", board, "ERASE=1")
    assert clone.calls()[-1][1] == ["flash", "esp32_devkit", "--erase"]
    clone.make("flash", board, "ERASE=")
    assert clone.calls()[-1][1] == ["flash", "esp32_devkit"]
    for word in ("0", "no", "1 0"):
        done = clone.make("flash", board, f"ERASE={word}")
        assert done.returncode == 2
        assert "Say ERASE=1, or nothing." in done.stderr
    assert len(clone.calls()) == 2


def test_tests_get_words_of_a_shell(clone: Clone) -> None:
    """ARGS is a piece of a command line, so its quotes count; JOBS and BROKER are words."""
    said = ("ARGS=-k 'will or goodbye' x", "JOBS=a b", "BROKER=mosquitto")
    clone.make("-o", "setup", "test", *said)
    program, words, told = clone.calls()[-1]
    assert program == "pytest"
    assert words == ["-n", "a b", "--dist", "worksteal", "-k", "will or goodbye", "x"]
    assert told["BROKER"] == "mosquitto"
    clone.make("-o", "setup", "test", "BUSY=1")
    program, words, _ = clone.calls()[-1]
    assert (program, words[:2]) == ("python", ["host_tests/busy.py", ".venv/bin/pytest"])


@pytest.mark.parametrize("name", ["rabbit", "amqtt mosquitto", "c $d"])
def test_broker_of_the_tests_that_is_none(clone: Clone, name: str) -> None:
    """It is refused by its name, before anything is set up."""
    for told in ({}, {"BROKER": name}):
        words = [] if told else [f"BROKER={name}"]
        done = clone.make("test", *words, told=told)
        assert done.returncode == 2
        assert f"{name} is no broker of the tests. Say BROKER=, one of: amqtt" in done.stderr
    assert clone.calls() == []


@pytest.mark.parametrize("target", ["image", "wokwi"])
def test_image_looks_before_it_fetches(clone: Clone, target: str) -> None:
    """`limpet image` gets what it needs itself, once it has looked at what was said."""
    assert clone.make(target, "BOARD=esp32_devkit", "FIRMWARE=x").returncode == 0
    assert [words[0] for _, words, _ in clone.calls()] == [target]


def test_releases_are_one_word(clone: Clone) -> None:
    """VERSIONS comes as it was said, and nothing is one of all releases."""
    for text in ("1.26 1.29", "it's $x", ""):
        clone.make("-o", "setup", "test-versions", f"VERSIONS={text}")
        program, words, _ = clone.calls()[-1]
        assert (program, words) == ("python", ["host_tests/versions.py", text])


def test_mosquitto_is_set_up_for_its_tests(clone: Clone) -> None:
    """BROKER=mosquitto gets it, another broker's name or address does not; Wokwi has its own."""
    for broker, words in {"mosquitto": ["setup", "--mosquitto"], "a b": ["setup"]}.items():
        clone.make("setup", f"BROKER={broker}")
        assert clone.calls()[-1][1] == words
    clone.make("-o", "setup", "wokwi", "BOARD=esp32_devkit")
    assert clone.calls()[-1][1] == ["wokwi", "esp32_devkit"]


@pytest.mark.parametrize("how", ["command line", "environment"])
def test_secret_stays_in_the_environment(clone: Clone, how: str) -> None:
    """A password is handed on letter for letter, and is in no command that -n would show."""
    secret = "Pa$$w$(shell touch ran)`rd`'"  # noqa: S105 - of no network
    words = ["test-board", "BOARD=esp32_devkit", f"WIFI_PASSWORD={secret}"]
    split = 2 if how == "environment" else 3
    told = {"WIFI_PASSWORD": secret} if how == "environment" else {}
    clone.make(*words[:split], told=told)
    assert clone.calls()[-1][2]["WIFI_PASSWORD"] == secret
    assert secret not in str(clone.calls()[-1][1])
    assert "touch" not in clone.make("-n", *words[:split], told=told).stdout
    assert not (clone.path / "ran").exists()


def test_other_pythons_modules_stay_out(clone: Clone) -> None:
    """PYTHONPATH, as other projects export it, does not reach the tools."""
    clone.make("run", told={"PYTHONPATH": "/elsewhere"})
    assert clone.calls()[-1][2]["PYTHONPATH"] is None


@pytest.mark.parametrize("target", ["lock", "clean", "venv"])
def test_python_in_a_folder_with_a_blank(clone: Clone, target: str) -> None:
    """PYTHON= names a program, whatever its folder is called; one that is not there is named."""
    line = ["make", "-C", str(clone.path), target]
    env = {"PATH": os.environ["PATH"]}
    assert not subprocess.run(
        [*line, "PYTHON=.venv/bin/python other"], env=env, timeout=60
    ).returncode
    program, words, _ = clone.calls()[-1]
    assert (program, words[0]) == ("python other", "tools/bootstrap.py")


def test_python_that_is_not_there(clone: Clone) -> None:
    """It is named, with what to install."""
    line = ["make", "-C", str(clone.path), "venv", "PYTHON=no such $python"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "limpet: There is no no such $python here. Install Python 3.11" in done.stdout


class BareMachine:
    """A checkout, and a PATH with nothing on it but stand-ins that write down their words."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._log = path / "log"
        (path / ".ci").mkdir()
        shutil.copy(REPO / ".ci" / "run", path / ".ci" / "run")
        (path / "bin").mkdir()
        for name in ("bash", "env", "dirname", "ln"):
            (path / "bin" / name).symlink_to(shutil.which(name) or name)

    def has(self, name: str, script: str = "") -> None:
        """Put a program onto the PATH: it writes down how it was called, and runs `script`."""
        program = self.path / "bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._log}"\n{script}\n')
        program.chmod(0o755)

    def check(self) -> tuple[subprocess.CompletedProcess[str], list[str]]:
        """Run the check; return how it ended, and what was called."""
        done = subprocess.run(
            [str(self.path / ".ci" / "run")],
            env={"PATH": str(self.path / "bin")},
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done, self._log.read_text().splitlines()


JOBS = ["lint", "test", "test-versions VERSIONS=1.26,1.29", "run SECONDS=20"]


@pytest.mark.parametrize("user", [0, 1000])
def test_check_installs_what_a_bare_debian_lacks(tmp_path: Path, user: int) -> None:
    """Git, make and Python's venv come from apt, by root or by sudo; then each job is run."""
    bare = BareMachine(tmp_path)
    bare.has("id", f"echo {user}")
    bare.has("sudo", 'shift; exec "$@"')
    bare.has("git")
    bare.has("python3", "exit 1")
    bare.has("installed")
    bare.has("apt-get", f'[ "$1" = update ] || ln -s installed "{tmp_path}/bin/make"')
    done, calls = bare.check()
    assert done.returncode == 0, done.stderr
    install = ["apt-get update -q", "apt-get install -qy make python3 python3-venv"]
    assert [line for line in calls if line.startswith("apt-get")] == install
    assert any(line.startswith("sudo") for line in calls) == (user != 0)
    assert calls[-len(JOBS) :] == [f"installed --no-print-directory {job}" for job in JOBS]
    assert "== make test (2 of 4)" in done.stdout.splitlines()


def test_check_installs_nothing_where_all_is_there(tmp_path: Path) -> None:
    """Then apt is not touched; and a job that fails is the end."""
    bare = BareMachine(tmp_path)
    for name in ("git", "python3", "apt-get"):
        bare.has(name)
    bare.has("make", '[ "$2" != test ]')
    done, calls = bare.check()
    assert done.returncode == 1
    assert [line for line in calls if not line.startswith("python3")] == [
        f"make --no-print-directory {job}" for job in JOBS[:2]
    ]
