"""`make homeassistant`: installs Home Assistant below build/, once, and runs the tests with it.

The tests are host_tests/systems/network/test_homeassistant.py; support/hass/ has what they need.
"""

from __future__ import annotations

import os
import subprocess
import sys

from limpet.shared import in_use
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from support.hass import installing

TESTS = REPO / "host_tests" / "systems" / "network" / "test_homeassistant.py"


def main() -> int:
    """Run it from the command line; returns pytest's exit code."""
    in_use.hold()
    try:
        installing.installed()
    except KeyboardInterrupt:
        return 130
    except Problem as problem:
        print(problem.text(), file=sys.stderr)
        return 1
    line = [sys.executable, "-m", "pytest", "-q", "-rP", "--durations=3", *sys.argv[1:], str(TESTS)]
    try:
        return subprocess.run(line, env=os.environ | {"HA": "1"}).returncode
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
