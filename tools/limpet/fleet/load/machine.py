"""What a load run is measured on, what it lets us have, and what processes take of it."""

import contextlib
import os
import platform
import re
import subprocess
from pathlib import Path

from limpet.identity.batch import processes
from limpet.shared.problem import Problem

# Beside a socket for each node: the loop, Python's own, the consumer.
_OWN_FILES = 100
# A light node with its TLS, and its connection in mosquitto; measured: docs/load.md.
LIGHT_KB = 130


def described() -> str:
    """Return the machine in a line: processor, cores, memory, system."""
    memory = _meminfo("MemTotal")
    size = f", {memory / 1024**2:.0f} GB" if memory else ""
    cores = processes()
    system = f"{platform.system()} on {platform.machine()}"
    return f"{_processor()}, {cores} core{'s' * (cores > 1)}{size}, {system}"


def _processor() -> str:
    with contextlib.suppress(OSError):
        found = re.search(r"^model name\s*: (.*)", Path("/proc/cpuinfo").read_text(), re.M)
        if found:
            return re.sub(r"\s+", " ", found[1])
    return platform.processor() or "unknown processor"


def _meminfo(name: str) -> int | None:
    """Return a line of /proc/meminfo in KB; None where there is none."""
    with contextlib.suppress(OSError):
        found = re.search(rf"^{name}:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
        return int(found[1]) if found else None
    return None


def free_kb() -> int | None:
    """Return how much memory is to be had, in KB; None where the system does not say."""
    return _meminfo("MemAvailable")


def memory_kb(pid: int | None) -> int | None:
    """Return the memory that a process has (None: this one), in KB; None where the system does not
    say.
    """
    with contextlib.suppress(OSError):
        found = re.search(
            r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid or 'self'}/status").read_text(), re.M
        )
        return int(found[1]) if found else None
    return None


def cpu_s(pid: int | None) -> float | None:
    """Return the CPU time of a process (None: this one), in seconds; None where the system does not
    say.
    """
    with contextlib.suppress(OSError):
        ticks = Path(f"/proc/{pid or 'self'}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    return None


def load() -> float | None:
    """Return how many processes wanted a core over the last minute, all programs together."""
    with contextlib.suppress(OSError, AttributeError):
        return os.getloadavg()[0]
    return None


def version(command: list[str]) -> str:
    """Return the first line of what a program says of itself by -h."""
    said = subprocess.run([*command, "-h"], capture_output=True, text=True, timeout=60).stdout
    return (said.splitlines() or [command[-1]])[0].strip()


def allow(nodes: int, files: int, own_broker: bool) -> None:
    """Let this process, and what it starts, open so many `files` and some of its own. Raises
    Problem with what is missing for so many nodes: files, ports, or memory.
    """
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files + _OWN_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise Problem(
            f"{nodes:,} nodes take {wanted:,} open files, and the system lets a process have "
            f"{hard:,} (ulimit -Hn).",
            "Raise that, or run fewer.",
        )
    if wanted > soft:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))
    ports = _ports()
    if ports is not None and nodes > ports:
        raise Problem(
            f"{nodes:,} connections to one broker take as many ports, and there are {ports:,}.",
            "Widen net.ipv4.ip_local_port_range, or run fewer.",
        )
    free, needed = free_kb(), nodes * LIGHT_KB // (1 if own_broker else 2)
    if free is not None and needed > free:
        raise Problem(
            f"{nodes:,} nodes take {needed / 1024**2:.1f} GB, "
            f"and {free / 1024**2:.1f} GB are free.",
            "Run fewer.",
        )


def _ports() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        first, last = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
        return int(last) - int(first) + 1
    return None
