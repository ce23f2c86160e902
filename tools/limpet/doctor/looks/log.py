"""What mosquitto's log says of its clients, and no broker says by MQTT: with which keepalive they
come, whether two share a name, and, where it has `log_type subscribe`, with which QoS they
subscribe. The lines are those of 2.0 and 2.1.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from limpet.doctor.facts import Logged
from limpet.shared.plain import safe
from limpet.shared.problem import Problem

# The end of a longer one.
_MOST = 16 * 1024 * 1024
_LATELY_S = 3600
_NAMES = 10_000
_CAME = re.compile(r"New client connected from \S+ as (\S+) \(p\d, c\d, k(\d{1,5})[,)]")
_TAKEN = re.compile(r"Client (\S+) already connected, closing old connection")
_SUBSCRIBED = re.compile(r"^(?:\S+: )?(\S+) ([012]) (\S+)$")
_STAMP = re.compile(r"^(\d{10}): ")


def read(path: Path) -> Logged:
    """Return what a log says; `-` is standard input. Raises Problem."""
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(_MOST)
        else:
            with open(path, "rb") as file:
                file.seek(max(path.stat().st_size - _MOST, 0))
                data = file.read(_MOST)
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}.", "Name the broker's log.") from None
    return parsed(data.decode("utf-8", "replace").splitlines())


def parsed(lines: Iterable[str]) -> Logged:
    """Return what the lines say. Pure."""
    keepalives: dict[str, int] = {}
    zero: dict[str, str] = {}
    taken: list[tuple[float, str]] = []
    now = 0.0
    for line in lines:
        if stamp := _STAMP.match(line):
            now = float(stamp[1])
        if len(keepalives) + len(zero) + len(taken) > _NAMES:
            break
        if found := _CAME.search(line):
            keepalives[_name(found[1])] = int(found[2])
        elif found := _TAKEN.search(line):
            taken.append((now, _name(found[1])))
        elif found := _SUBSCRIBED.match(line):
            if found[2] == "0":
                zero[_name(found[1])] = _name(found[3])
            else:
                zero.pop(_name(found[1]), None)
    lately = Counter(name for when, name in taken if when >= now - _LATELY_S)
    return Logged(keepalives, dict(lately), zero)


def _name(said: str) -> str:
    return safe(said)[:80]
