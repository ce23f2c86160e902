"""Which of a set-up's broker files are older than its registry or the rules, and what to do then.

Only the files are looked at: what a broker has read of them, or a copy of them on another machine,
cannot be seen from here.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TextIO

from limpet.brokers import kinds, rules, written
from limpet.brokers import plan as plans
from limpet.brokers.mosquitto.renderer import UNIT
from limpet.brokers.written import Written
from limpet.identity.fleet_folder import option, quoted
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem

_RELOADS = (
    "has ExecReload: by a reload mosquitto 2.0 drops what it has acknowledged for clients that are "
    "away, and ends new sessions."
)


class Old(NamedTuple):
    """A file of a broker, and the version of the rules that it was made by: the one of now, where
    it is the registry that has changed.
    """

    path: Path
    version: int
    of: Written


def old_files(layout: Layout) -> list[Old]:
    """Return the files of brokers that are by older rules, or another registry, than those of now.
    Raises Problem.
    """
    now = plans.fingerprint(layout.bases(), layout.consumers())
    found = []
    for of, path, text in written.files(layout):
        if plans.registry_of(text) != now:
            found.append(Old(path, plans.rules_of(text), of))
    return found


def tell(layout: Layout, out: TextIO | None = None) -> None:
    """Say of each such file what it means and what to do; nothing where there is none.

    out: where to, if not standard output.
    """
    with contextlib.suppress(Problem):  # a registry that is none is for others to say
        for cause, remedy in told(layout):
            print(f"{cause} {remedy}", file=out, flush=True)


def told(layout: Layout) -> list[tuple[str, str]]:
    """Return of each such file, and of each unit from before, what it means, and what to do. Raises
    Problem.
    """
    old = [
        (_what(path, version), _again(layout, of), of) for path, version, of in old_files(layout)
    ]
    found = [(what, f"{again}; then have the broker {_reload(of)}") for what, again, of in old]
    for path, of in _units(layout):
        restart = "sudo systemctl daemon-reload && sudo systemctl restart limpet-broker"
        found.append((f"{path} {_RELOADS}", f"{_again(layout, of)}; then {restart}"))
    return found


def tell_renewed(old: list[Old]) -> None:
    """Say of each file that was by older rules that it is by the rules of now."""
    for path, version, of in old:
        if not of.folder and version < rules.VERSION:
            print(f"{path} was by rules {version}, and is by rules {rules.VERSION} now")


def _what(path: Path, version: int) -> str:
    if version < rules.VERSION:
        return (
            f"{path} is by rules {version}, and this limpet has rules {rules.VERSION}. A broker "
            "that reads it acknowledges and drops what is new in them; nodes notice that, and lose "
            "no Reading. What is new, and who has to know of it first: docs/upgrading.md."
        )
    return (
        f"{path} does not match the registry: a broker that reads it knows other devices and "
        "programs than the fleet has."
    )


def _units(layout: Layout) -> Iterator[tuple[Path, Written]]:
    """Yield mosquitto's units that were written when they could still be reloaded."""
    for of in written.records(layout):
        path = of.at(layout) / UNIT
        if of.kind == kinds.FIRST:
            with contextlib.suppress(OSError):
                if re.search(r"^ExecReload=", path.read_text("utf-8", "replace"), re.MULTILINE):
                    yield path, of


def _reload(of: Written) -> str:
    return kinds.KINDS[of.kind].RELOAD


def _again(layout: Layout, of: Written) -> str:
    out = f" --out {quoted(Path(of.folder))}" if of.folder else ""
    again = f"limpet broker-config {of.kind}{out}{option(layout.root)}"
    return f"Make it anew: {again}"
