"""Whose devices a load run plays: those of a set-up of its own, or a fleet's that are there for it.

No device that somebody may have on a board is ever played: it would be thrown out by its own name.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from limpet.brokers.setup import open_setup
from limpet.fleet import device_list
from limpet.fleet.load import identity
from limpet.fleet.load.identity import Identity
from limpet.identity import batch, device_config, fleet_folder
from limpet.identity.batch import Order, Outcome
from limpet.identity.fleet_settings import Settings
from limpet.identity.layout import Layout
from limpet.shared import bar, locks, private
from limpet.shared.firmware import errors
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

# A set-up to be thrown away; kept, so that a second run needs no new keys.
OWN = CACHE / "load"
PREFIX = "load-"
PATTERN = "load-{n:05}"


def alone(root: Path) -> AbstractContextManager[None]:
    """Hold a set-up for this run: a second one would throw its nodes out."""
    cause = f"`limpet fleet run` runs already, with {root}."
    return locks.held(private.folder(root), cause, "End it first.")


def own(root: Path, count: int) -> Layout:
    """Return the throw-away set-up, with so many devices made where they are missing."""
    setup = open_setup(root)
    names = [line.fields["device_id"] for line in device_list.of_pattern(PATTERN, count)]
    known = setup.layout.bases()
    missing = [name for name in names if name not in known]
    if missing:
        begins = Settings().fields()
        fields = [begins | {"device_id": name} for name in missing]
        orders = [Order(each, {"device_id": each["device_id"]}) for each in fields]
        with bar.counted(f"keys of {len(orders):,} devices", len(orders)) as told:
            batch.provision(setup, orders, Outcome(), told)
    return setup.layout


def named(fleet: Path | None, count: int, broker: str) -> Layout:
    """Return the set-up of the fleet that counts, which has to have devices for this. Raises
    Problem.
    """
    root = fleet_folder.required(fleet).root
    layout = Layout(root)
    found = _ours(layout)
    if len(found) < count:
        make = f"limpet provision --pattern '{PATTERN}' --count {count} --broker {broker}"
        raise Problem(
            f"The fleet {root} has {len(found):,} devices called {PREFIX}..., and only such are "
            "played.",
            f"Make them: {make}{fleet_folder.option(root)}, and have the broker know them.",
        )
    return layout


def _ours(layout: Layout) -> list[str]:
    return sorted(name for name in layout.bases() if name.startswith(PREFIX))


def identities(layout: Layout, count: int) -> Sequence[Identity]:
    """Return who the nodes are. Raises Problem for a device that is none any more."""
    found = []
    with bar.counted(f"{count:,} devices read", count) as told:
        for name in _ours(layout)[:count]:
            folder = layout.device(name)
            try:
                found.append(identity.of_device(folder))
            except errors.ConfigError as error:
                where = device_config.where(folder, error)
                raise Problem(
                    f"{where}: {error.field} {error.text}.", "Provision that device again."
                ) from None
            told(1)
    return found
