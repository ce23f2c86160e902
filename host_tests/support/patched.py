"""A copy of the firmware with faults put in: a node that is stuck, or that crashes."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

from limpet.shared.paths import FIRMWARE


def patched(folder: Path, *patches: tuple[str, str, str]) -> Path:
    """Copy the firmware into `folder`, apply `patches`, and return the folder.

    A patch is a file, a text that is there once, and what replaces it. What is no Python any more
    fails here, and not after a minute of resets.
    """
    shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in patches:
        path = folder / name
        text = path.read_text()
        assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {name}"
        text = text.replace(old, new)
        ast.parse(text, name)
        path.write_text(text)
    return folder


# How long the far end has for an answer, as the clock on the wall has it, where a test is about
# something else: neither a broker nor a busy machine is as fast as a node's clock.
PATIENT_S = 10


def patient(folder: Path, speed: float, *patches: tuple[str, str, str]) -> Path:
    """The same, and answers may take PATIENT_S at this speed of the node's clock."""
    ms = int(PATIENT_S * 1000 * speed)
    return patched(
        folder,
        ("app.py", "MQTTClient(", f"MQTTClient(answer_ms={ms}, "),
        ("node/reporting/status.py", "_ECHO_MS = const(10000)", f"_ECHO_MS = const({ms})"),
        *patches,
    )


def mended(folder: Path, name: str) -> None:
    """Put the file `name` back as it is in the firmware."""
    shutil.copyfile(FIRMWARE / name, folder / name)
