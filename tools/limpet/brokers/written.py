"""Brokers' files on the disk: written, kept up to date with the registry, asked how old they are.

broker/written.json says what was written where, for which address and how many devices. What lies
in the fleet follows its registry (`refresh`); what was written elsewhere, for another machine, is
written again by whoever wrote it, and age.py says when that is due.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from limpet.brokers import capacity, kinds
from limpet.brokers import plan as plans
from limpet.brokers.capacity import Limits
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto.renderer import CONF
from limpet.brokers.plan import Plan
from limpet.identity import operators
from limpet.identity.layout import Layout
from limpet.shared import private, windows
from limpet.shared.asked import is_utf8
from limpet.shared.problem import Problem

RECORD = "written.json"
# A broker is sized for a round number of devices: else each new one would change what only a
# restart has it read.
_SIZES = (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)


@dataclass(frozen=True)
class Written:
    """Files of one broker: its kind, their folder (absolute; '' in the fleet), address (listen: ''
    for all) and port, how many devices it is sized for, and whether somebody chose the address.
    """

    kind: str
    folder: str
    listen: str
    port: int
    devices: int
    chosen: bool = False

    def at(self, layout: Layout) -> Path:
        """Return their folder."""
        return Path(self.folder) if self.folder else kinds.own_folder(layout.broker, self.kind)


def size(devices: int, wanted: int = 0) -> int:
    """Return for how many devices to size a broker for these, and for `wanted` at least."""
    if wanted and wanted >= devices:
        return wanted
    return next((each for each in _SIZES if each >= devices), devices)


def plan_of(
    layout: Layout, folder: Path, listen: str, port: int, limits: Limits, figures_port: int = 0
) -> Plan:
    """Return the plan of a broker of this set-up, with its files in `folder`, absolute.

    In a folder outside the set-up it finds its own copies of the certificates. Raises Problem.
    """

    def beside(path: Path) -> Path:
        return path if folder.is_relative_to(layout.root) else folder / path.name

    return Plan(
        folder=folder,
        listen=listen,
        port=port,
        user=_user(),
        ca=beside(layout.ca_certificate),
        crl=beside(layout.crl),
        certificate=beside(layout.server_certificate),
        key=beside(layout.server_key),
        password_file=beside(layout.passwords),
        passwords=layout.passwords.exists(),
        bases=layout.bases(),
        consumers=layout.consumers(),
        limits=limits,
        figures_port=figures_port,
    )


def write(layout: Layout, wanted: Written) -> Plan:
    """Write the files of a broker, and note that they were; return the plan they are by. Raises
    Problem.
    """
    windows.refuse("broker-config", "it names a user of the system")
    folder = wanted.at(layout)
    if not is_utf8(str(folder)) or set("\n\r\"'") & set(str(folder)):
        raise Problem(
            f"No broker's configuration can name {str(folder)!a}.",
            "Have it in a folder without quotes and line ends, and in UTF-8.",
        )
    plan = plan_by(layout, wanted)
    with layout.changing():
        put(layout, wanted.kind, plan)
        others = [each for each in records(layout) if each.at(layout) != folder]
        _note(layout, [*others, wanted])
    return plan


def put(layout: Layout, kind: str, plan: Plan) -> None:
    """Write the files of a plan, with copies of what it names outside the set-up, and make the
    folders that the broker writes to.
    """
    private.folder(plan.folder)
    for name in kinds.KINDS[kind].STATE:
        private.folder(plan.folder / name)
    for path, copy in _copies(layout, plan):
        if copy != path:
            private.write(copy, path.read_bytes())
    for name, text in kinds.KINDS[kind].render(plan).items():
        private.write(plan.folder / name, text.encode())


def write_mosquitto(layout: Layout, listen: str, port: int) -> Path:
    """Write mosquitto's files into the set-up, for as many devices as it has; return the path of
    its configuration. Raises Problem.
    """
    devices = size(len(layout.bases()))
    return write(layout, Written(kinds.FIRST, "", listen, port, devices)).folder / CONF


def records(layout: Layout) -> list[Written]:
    """Return what was written of this set-up, as far as it was noted; raises Problem."""
    path = layout.broker / RECORD
    try:
        said = json.loads(path.read_bytes())
        found = [Written(**each) for each in said["files"]]
    except FileNotFoundError:
        found = []
    except (ValueError, RecursionError, KeyError, TypeError):
        raise Problem(f"{path} is no list of files.", "Restore it, or remove it.") from None
    known = [each for each in found if each.kind in kinds.KINDS]  # not one of a later Limpet
    noted = any(each.at(layout) == layout.broker for each in known)
    if not noted and (at := mosquitto_files.listens(layout)):
        # Those of before say it themselves.
        known.append(Written(kinds.FIRST, "", *at, size(len(layout.bases()))))
    return known


def record(layout: Layout, kind: str) -> Written | None:
    """Return the note of this kind's files in the fleet itself; None where there are none."""
    return next((each for each in records(layout) if each.kind == kind and not each.folder), None)


def refresh(layout: Layout) -> bool:
    """Bring up to date what follows the registry of the files in the fleet; whether any was not."""
    renewed = False
    for each in records(layout):
        if not each.folder:
            with layout.changing():
                renewed |= _refreshed(layout, each)
    return renewed


def _refreshed(layout: Layout, each: Written) -> bool:
    plan, renewed = plan_by(layout, each), False
    for name, text in kinds.KINDS[each.kind].render(plan).items():
        path = plan.folder / name
        # The rest is for `limpet broker-config`: who changed it by hand finds it as it was.
        if plans.made_from(plan) not in text or not path.exists():
            continue
        if path.read_bytes() != text.encode():
            private.write(path, text.encode())
            renewed = True
    return renewed


def files(layout: Layout) -> Iterator[tuple[Written, Path, str]]:
    """Yield every file that follows the registry, with its text as it is on the disk."""
    for each in records(layout):
        plan = plan_by(layout, each)
        for name, text in kinds.KINDS[each.kind].render(plan).items():
            path = plan.folder / name
            if plans.made_from(plan) in text:
                with contextlib.suppress(OSError):  # removed, or another's: nobody's who asks
                    yield each, path, path.read_text("utf-8", "replace")


def plan_by(layout: Layout, wanted: Written) -> Plan:
    """Return the plan of the files that a note stands for. Raises Problem."""
    consumers = layout.consumers()
    services = 1 + len([name for name in consumers if not operators.is_operator(name)])
    limits = capacity.limits(wanted.devices, max(services, 2))
    figures = kinds.FIGURES.get(wanted.kind, 0)
    return plan_of(layout, wanted.at(layout), wanted.listen, wanted.port, limits, figures)


def _user() -> str:
    if os.name == "nt":  # where no broker is run, but a fleet may be looked at
        return ""
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _copies(layout: Layout, plan: Plan) -> Iterator[tuple[Path, Path]]:
    yield layout.ca_certificate, plan.ca
    yield layout.crl, plan.crl
    yield layout.server_certificate, plan.certificate
    yield layout.server_key, plan.key
    if plan.passwords:
        yield layout.passwords, plan.password_file


def _note(layout: Layout, found: list[Written]) -> None:
    said: dict[str, Any] = {"v": 1, "files": [asdict(each) for each in found]}
    private.write(layout.broker / RECORD, (json.dumps(said, indent=1) + "\n").encode())
