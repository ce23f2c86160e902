"""What tests inherit from whoever started them, made the same everywhere.

The locale, the time zone, the user and the working directory stay as they are: in all of these the
tests have to hold. But Python has to speak UTF-8, whatever the locale (`make test` says so): it is
what MicroPython, the tools' pipes and these files have.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest

# What a process needs to run at all, what a test may be told, and what the runners tell each other.
KEPT = {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "LANGUAGE", "TZ", "CI"}
KEPT |= {"PYTHONUTF8"}  # which make sets
KEPT |= {"XDG_DATA_HOME"}  # as it is made here
TOLD = {"BROKER", "CLIENTS", "FUZZ", "DAY", "HA", "MICROPYTHON", "UMQTT", "REFUSALS"}
KEPT_PREFIXES = ("LC_", "LD_LIBRARY_", "PYTEST_", "COVERAGE_")


def settle() -> None:
    """Refuse to begin where Python does not speak UTF-8; forget the variables that make, pip, rich
    or limpet would obey, and hear Ctrl-C again.

    Whoever starts the tests in the background of a script, or by nohup, has SIGINT ignored, and so
    would every program that a test starts: none could be interrupted.
    """
    if sys.getfilesystemencoding() != "utf-8":
        raise pytest.UsageError("The locale is not UTF-8. Set PYTHONUTF8=1, as make test does.")
    # A fleet that the user has there would be found by every test that has none.
    os.environ["XDG_DATA_HOME"] = "/nowhere"
    for name in list(os.environ):
        if name not in KEPT | TOLD and not name.startswith(KEPT_PREFIXES):
            del os.environ[name]
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
