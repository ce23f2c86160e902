"""`make test-versions`: the node's part of the tests on each MicroPython that can be had, and a
table of what came of it. Exits with 1 when a test failed. Releases may be named: "1.26 1.29".

It will NOT run the tools' tests, which know no interpreter, or bounds of heap, which are those of
the default one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from limpet.micropython import releases
from limpet.paths import REPO
from limpet.problem import Problem

# What needs no node: the pure cases, and modules alone, on the real littlefs and over real TLS.
MODULES = (
    *("client", "clock", "commands", "config", "dht22", "flash", "improv", "ladder", "outbox"),
    *("power_cuts", "provisioning", "recordlog", "ring", "router", "sampler", "sntp", "topics"),
)
# Asks the C library, so it needs `ffi` too.
WITH_FFI = "host_tests/test_client.py::test_nagle_is_off_once_up_and_not_before"
# Whole nodes, which need `ffi` for their watchdog and their resets.
NODES = (
    *("client_faults", "end_to_end", "faults", "first_boot", "handshake", "leaving", "link"),
    *("safe_mode", "supervisor", "time_servers", "turns", "watchdog", "wifi", "window"),
)


class Row(NamedTuple):
    """What came of one release: how many passed, failed and were skipped, or why none ran."""

    release: str
    part: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0
    why: str = ""

    def words(self) -> str:
        """A line of the table."""
        if self.why:
            return f"{self.release:8} {self.part:8} not to be had: {self.why}"
        counts = f"{self.passed:6} passed {self.failed:4} failed {self.skipped:4} skipped"
        return f"{self.release:8} {self.part:8}{counts} {self.seconds:6.0f} s"


def has_ffi(release: str) -> bool:
    """Whether a node can run under it. Raises Problem."""
    command = releases.command(release)
    if command is None:
        raise Problem("there is none for this machine.", "")
    return not subprocess.run([*command, "-c", "import ffi"], capture_output=True).returncode


def tested(release: str) -> Row:
    """Run what the release can run."""
    try:
        return run(release, "nodes" if has_ffi(release) else "modules")
    except Problem as problem:
        return Row(release, "", why=str(problem))


def run(release: str, part: str) -> Row:
    """Run the tests of a part, and count."""
    names = MODULES + (NODES if part == "nodes" else ())
    files = [f"host_tests/test_{name}.py" for name in names]
    if part == "modules":
        files.append(f"--deselect={WITH_FFI}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
        subprocess.run(
            [*line, "-p", "no:cacheprovider", f"--junitxml={report}", *files],
            cwd=REPO,
            env={**os.environ, "MICROPYTHON": release},
            check=False,
        )
        seconds = time.monotonic() - began
        if not report.exists():
            return Row(release, part, failed=1, seconds=seconds)
        [suite] = ElementTree.parse(report).getroot()
    total, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return Row(release, part, total - failed - skipped, failed, skipped, seconds)


def main() -> int:
    """Run them, print the table."""
    told = " ".join(sys.argv[1:]).replace(",", " ").split() or releases.KNOWN
    rows = []
    for release in told:
        print(f"== MicroPython {release}", flush=True)
        rows.append(tested(release))
    print("\n".join(["", *(row.words() for row in rows)]))
    return any(row.failed for row in rows)


if __name__ == "__main__":
    sys.exit(main())
