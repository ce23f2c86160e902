"""What `systemctl` does with a service, for a test: it starts what the unit says, as this user.

    as_systemd.py STATE PROGRAM enable --now UNIT | disable --now NAME | status|reload|restart NAME

STATE is a folder of its own. PROGRAM is a shell's words for mosquitto, taken instead of the one
that the unit names. Of the unit ExecStart, ExecReload and LimitNOFILE are heeded.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

_WAIT_S = 20


def _command(unit: Path, program: str) -> list[str]:
    said = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)
    assert said
    words = shlex.split(said[1])
    assert words[0] == "/usr/sbin/mosquitto"
    return shlex.split(program) + [each.replace("%%", "%").replace("$$", "$") for each in words[1:]]


def _start(state: Path, unit: Path, program: str) -> None:
    files = re.search(r"^LimitNOFILE=(\d+)$", unit.read_text(), re.MULTILINE)
    assert files
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with open(state / f"{unit.stem}.log", "ab") as log:
        process = subprocess.Popen(
            _command(unit, program),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (min(int(files[1]), hard), hard))
    (state / f"{unit.stem}.pid").write_text(str(process.pid))


def _pid(state: Path, name: str) -> int:
    return int((state / f"{name}.pid").read_text())


def _runs(pid: int) -> bool:
    try:
        # A child of somebody who has ended is nobody's: a zombie is none that runs.
        said = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return said.rpartition(")")[2].split()[0] != "Z"


def _stop(state: Path, name: str) -> None:
    pid = _pid(state, name)
    deadline = time.monotonic() + _WAIT_S
    while _runs(pid):
        os.kill(pid, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.1)


def main(place: str, program: str, verb: str, *words: str) -> int:
    """Do what the words say; return the exit code."""
    state, what = Path(place), words[-1]
    if verb == "enable":
        unit = Path(what)
        assert words[0] == "--now"
        assert unit.is_absolute()
        (state / f"{unit.stem}.unit").write_text(str(unit))
        _start(state, unit, program)
    elif verb == "status":
        return 0 if _runs(_pid(state, what)) else 3
    elif verb == "reload":
        os.kill(_pid(state, what), signal.SIGHUP)
    elif verb == "restart":
        _stop(state, what)
        _start(state, Path((state / f"{what}.unit").read_text()), program)
    elif verb == "stop":
        _stop(state, what)
    else:
        assert verb == "disable", verb
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
