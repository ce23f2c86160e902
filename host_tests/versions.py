"""`make test-versions`: the node's part of the tests on each MicroPython that can be had, and a
table of what came of it. Exits with 1 when a test failed, or none ran. Releases may be named:
"1.26 1.29". Of 1.24, 1.27 and 1.28 there is a build for JavaScript alone: that runs the pure cases.

The tools' tests, which know no interpreter, are left out, and so are bounds of heap, which are
those of the default one.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

from limpet.node_host import javascript, releases
from limpet.shared import in_use
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem

TESTS = REPO / "host_tests"
# What needs no node: the pure cases, and modules alone, on the real littlefs and over real TLS.
MODULES = (
    *("backoff", "client", "clock", "commands", "config", "node_api", "dht22", "flash", "health"),
    *("improv", "recovery", "outbox", "power_cuts", "provisioning", "recordlog", "ring", "router"),
    *("sampler", "sntp", "topics", "transport", "ds18b20", "sht", "supply"),
    *("mqtt_async", "umqtt_blocking"),
)
# Asks the C library, so it needs `ffi` too.
WITH_FFI = "host_tests/unix/test_client.py::test_nagle_is_off_once_up_and_not_before"
# Cases that the build for JavaScript cannot run, for want of sockets.
NOT_PURE = {"transport"}
CASES_S = 120  # far above what a module's cases take: only a hang meets it

# Whole nodes, which need `ffi` for their watchdog and their resets.
NODES = (
    *("alerts", "client_faults", "end_to_end", "faults", "first_boot", "handshake", "leaving"),
    *("link", "safe_mode", "status", "supervisor", "time_servers", "turns", "watchdog", "wifi"),
    "window",
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
        if release in javascript.KNOWN:
            return run_pure(release)
        if release not in releases.KNOWN:
            return Row(release, "", failed=1, why="no build of it is known.")
        return run(release, "nodes" if has_ffi(release) else "modules")
    except Problem as problem:
        return Row(release, "", why=problem.cause)


def of(name: str) -> list[Path]:
    """The files `test_NAME.py`; at least one."""
    found = sorted(TESTS.rglob(f"test_{name}.py"))
    assert found, name
    return found


def run(release: str, part: str) -> Row:
    """Run the tests of a part, and count."""
    names = MODULES + (NODES if part == "nodes" else ())
    files = [str(path) for name in names for path in of(name)]
    if part == "modules":
        files.append(f"--deselect={WITH_FFI}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        line = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"]
        done = subprocess.run(
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
    # pytest may refuse to begin, or a worker may end: then there is a report, and nothing in it.
    failed = failed or int(done.returncode != 0)
    return Row(release, part, max(total - failed - skipped, 0), failed, skipped, seconds)


def run_pure(release: str) -> Row:
    """Run the pure cases under the build for JavaScript, a module at a time, and count."""
    build = javascript.build(release)
    began = time.monotonic()
    passed = failed = skipped = 0
    for path in sorted((TESTS / "both" / "cases").glob("*.py")):
        if path.stem in NOT_PURE:
            continue
        script = TESTS / "support" / "micropython" / "cases.mjs"
        line = ["node", str(script), str(build), str(REPO), f"both.cases.{path.stem}"]
        code, said = ended(line)
        found = re.search(r"^(\d+) passed (\d+) failed (\d+) skipped$", said, re.MULTILINE)
        counts = [int(number) for number in found.groups()] if found else [0, 0, 0]
        if code:
            print(f"{path.stem} ended with {code}\n{said}", flush=True)
        passed += counts[0]
        failed += counts[1] or int(code != 0)  # it came to none of its cases, or died
        skipped += counts[2]
    return Row(release, "pure", passed, failed, skipped, time.monotonic() - began)


def ended(line: list[str]) -> tuple[int, str]:
    """Run a program; return its exit code, which is not 0 if it hangs, and what it printed."""
    try:
        done = subprocess.run(
            line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CASES_S
        )
    except subprocess.TimeoutExpired as late:
        return 1, f"hangs after\n{late.stdout!r}"
    return done.returncode, done.stdout


def main() -> int:
    """Run them, print the table."""
    in_use.hold()
    told = " ".join(sys.argv[1:]).replace(",", " ").split() or sorted(
        {*releases.KNOWN, *javascript.KNOWN}
    )
    rows = []
    for release in told:
        print(f"== MicroPython {release}", flush=True)
        rows.append(tested(release))
    print("\n".join(["", *(row.words() for row in rows)]))
    return any(row.failed for row in rows)


if __name__ == "__main__":
    sys.exit(main())
