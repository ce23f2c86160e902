"""docs/your-own-broker.md, line by line: from nothing to a node on a broker of one's own.

Another loopback address stands for the network. Three programs are others than on a user's
machine: `sudo` runs the rest of its line, `apt-get` has done it already, and `systemctl` starts
what the unit says (support/as_systemd.py).
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers import capacity, written
from limpet.brokers.mosquitto.program import mosquitto
from limpet.node_host import debian
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from support import as_systemd
from support.tool import LIMPET, TIMEOUT_S, Tool

PAGE = REPO / "docs" / "your-own-broker.md"
SYSTEMD = Path(as_systemd.__file__)
# What goes on until it is ended, and what is to be seen of it.
GOES_ON = {"/usr/sbin/mosquitto": "running", "limpet watch": "", "limpet node": "link up"}


def lines() -> list[str]:
    """The lines of code of the page, as a shell takes them."""
    text = PAGE.read_text().replace("\\\n", " ")
    return [each.strip() for each in text.splitlines() if each.startswith("    ")]


class Reader:
    """Somebody at a shell who types what the page says."""

    def __init__(self, home: Path, address: str) -> None:
        self.home, self.address = home, address
        self.open: list[Tool] = []
        self.state = home / ".systemd"
        self.state.mkdir()
        programs = home / ".programs"
        programs.mkdir()
        broker = shlex.join(mosquitto())
        client = shlex.join(
            debian.command(
                debian.unpacked("mosquitto-clients"), debian.HOST, "usr/bin/mosquitto_sub"
            )
        )
        systemd = shlex.join([sys.executable, str(SYSTEMD), str(self.state), broker])
        for name, does in {
            "sudo": '"$@"',
            "apt-get": "true",
            "systemctl": f'{systemd} "$@"',
            "mosquitto": f'{broker} "$@"',
            "mosquitto_sub": f'{client} "$@"',
        }.items():
            (programs / name).write_text(f"#!/bin/sh\nexec {does}\n")
            (programs / name).chmod(0o755)
        self.mosquitto = str(programs / "mosquitto")
        (home / ".venv/bin").mkdir(parents=True)
        (home / ".venv/bin/limpet").symlink_to(LIMPET)
        self.environment = {
            "HOME": str(home),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "WIFI_PASSWORD": "shells-and-sand",
        }

    def types(self, line: str) -> str:
        """Run a line; return what it printed. One that goes on is left running."""
        line = line.replace("NEW-ADDRESS", "192.0.2.7").replace("ADDRESS", self.address)
        line = line.replace("NAME", "beach")
        if found := re.fullmatch(r"export (\w+)=~/(\S+)", line):
            self.environment[found[1]] = str(self.home / found[2])
            return ""
        for start, wanted in GOES_ON.items():
            if line.removeprefix(".venv/bin/").startswith(start):
                shown = line.replace("/usr/sbin/mosquitto", self.mosquitto)
                self.open.append(Tool("-c", f"exec {shown}", program="bash", cwd=self.home))
                if wanted:
                    self.open[-1].wait_for(wanted)
                return ""
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.home,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=2 * TIMEOUT_S,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def ends_mosquitto(self) -> None:
        """Press Ctrl-C in its terminal."""
        # mosquitto 2.0 forgets a signal that comes right after it said that it runs.
        self.open[0].interrupt()
        self.open[0].end()

    def close(self) -> None:
        """End all that goes on."""
        for each in self.open:
            each.__exit__()
        with contextlib.suppress(FileNotFoundError):
            as_systemd.main(str(self.state), "", "stop", "limpet-broker")


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Reader]:
    """Sit somebody down, with a network of his own."""
    pid = os.getpid()
    address = f"127.{pid >> 14 & 127 | 64}.{pid >> 7 & 127}.{pid & 127 | 128}"
    try:
        with socket.create_server((address, 8883)):
            pass
        made = Reader(tmp_path, address)
    except OSError as error:
        pytest.skip(f"{address}:8883 cannot stand for a network here: {error.strerror}")
    except Problem as problem:
        pytest.skip(problem.cause)
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LIMPET_FLEET", str(tmp_path / "fleet"))
    yield made
    made.close()


@pytest.mark.long
def test_the_page_line_by_line(reader: Reader, tmp_path: Path) -> None:
    """Each line does what the page says; a node's Readings arrive by hand and as a service."""
    said: dict[str, str] = {}
    for line in lines():
        if line.startswith("sudo systemctl disable"):
            reader.open[1].wait_for("telemetry")
            reader.ends_mosquitto()
        said[line] = reader.types(line)
        if line.startswith("sudo systemctl enable"):
            before = reader.open[1].text.count("/telemetry")
            reader.open[1].wait_for(lambda text, n=before: text.count("/telemetry") > n)  # type: ignore[misc]
    fleet = tmp_path / "fleet"
    heard = next(text for line, text in said.items() if line.startswith("mosquitto_sub"))
    assert heard.startswith("limpet/home/desk/climate/node-2/")
    assert "user desk" in (fleet / "broker/acl").read_text()
    assert "node-3" not in (fleet / "broker/acl").read_text()
    assert "\nlistener 8883 192.0.2.7\n" in (fleet / "broker/mosquitto.conf").read_text()
    assert (tmp_path / "for-the-broker/crl.pem").is_file()
    log = (tmp_path / ".systemd/limpet-broker.log").read_text()
    assert "Error" not in log
    assert log.count("running") == 3
    assert "Reloading config" not in log


def test_what_the_page_says_of_sizes() -> None:
    """The numbers in its text are those that the files have."""
    text = " ".join(PAGE.read_text().split())
    limits = capacity.limits(written.size(1))
    assert f"{limits.silent:,} for who has not said yet" in text
    assert f"at most {limits.packet_bytes >> 10} KB" in text
    assert f"what {limits.devices} devices say in an hour" in text
    assert f"its session after {limits.session_days} days" in text
