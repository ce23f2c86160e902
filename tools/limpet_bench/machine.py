"""What it was measured on, and with which versions: nothing in it names one machine."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

from limpet.brokers.mosquitto.program import mosquitto
from limpet.node_host import debian
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import FILES
from limpet.shared.problem import Problem


def described() -> list[str]:
    """One line each for the machine, the interpreters and the broker."""
    return [
        f"{_cpu()}, {os.cpu_count()} cores, {platform.system()} on {platform.machine()}",
        f"MicroPython {_micropython(debian.HOST)}, for heap the 32-bit {_micropython('i386')}",
        f"{_said([*mosquitto(), '-h'])}; umqtt.simple {FILES['simple'].version}, "
        f"umqtt.robust {FILES['robust'].version}",
    ]


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    return re.sub(r"\s+", " ", found[1]) if found else platform.processor() or "unknown CPU"


def _micropython(arch: str) -> str:
    try:
        command = micropython(arch)
    except Problem:
        return "one, which there is none of here"
    line = [*command, "-c", "import sys; print('.'.join(map(str, sys.implementation.version[:3])))"]
    return _run(line).strip() or "unknown"


def _said(line: list[str]) -> str:
    return (_run(line).splitlines() or ["mosquitto"])[0].strip()


def _run(line: list[str]) -> str:
    return subprocess.run(line, capture_output=True, text=True, timeout=60).stdout
