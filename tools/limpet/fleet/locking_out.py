"""`limpet fleet` revoke, renew, decommission and remove: who is let in no more, and who again.

Each changes the registry first, once for all that are named, and what brokers have of it follows.
No board is touched.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter, validators

from limpet.brokers.setup import open_setup
from limpet.fleet import reload, retained
from limpet.fleet.devices import Device, devices, one, unused
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.shared import asked, bar, private
from limpet.shared.numbers import whole
from limpet.shared.problem import Problem

Days = Annotated[int, Parameter(converter=whole, validator=validators.Number(gte=0, lte=7300))]
Yes = Annotated[bool, Parameter(negative=(), help="Do not ask.")]
_SHOWN = 5


def revoke(device: str, /, *more: str, yes: Yes = False, fleet: FleetOption = None) -> None:
    """Lock devices out: no broker lets them in, whichever of their certificates they show.

    Their folders stay. `limpet fleet renew` takes them back, with new certificates alone.

    Parameters
    ----------
    device
        The device's id.
    more
        Further ones.
    """
    layout = Layout(required(fleet).root)
    names = _named(layout, (device, *more))
    if not yes:
        asked.agreed(
            f"Lock {_list(names)} out of the fleet {layout.root}? Only a new certificate, put on "
            "the board, undoes it.",
            "Nothing was revoked.",
        )
    setup = open_setup(layout.root)
    was = setup.revoke(*names)
    for name in names:
        print(f"{name}: revoked" + ("" if name in was else " before; nothing has changed"))
    reload.tell(setup, _list(names))


def renew(
    *device: str,
    within: Days = 30,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    fleet: FleetOption = None,
) -> None:
    """Give devices new keys and certificates: those that are named, else those that end soon; and
    the broker, where its own ends within 60 days.

    One that was revoked is let in again. A board has the old ones until they are deployed to it;
    they stay good until their end, unless they were revoked.

    Parameters
    ----------
    device
        The devices' ids.
    within
        Without names: those whose certificates end within so many days, and are not revoked.
    all_
        All that are not revoked.
    """
    layout = Layout(required(fleet).root)
    if device:
        names = _named(layout, device)
    else:
        names = [each.name for each in devices(layout) if _is_due(each, None if all_ else within)]
    for name in names:
        if not layout.device(name).is_dir():
            raise Problem(
                f"There is no {layout.device(name)}.", f"Make it: limpet provision {name}"
            )
    setup = open_setup(layout.root)
    if names:
        with bar.counted("new certificates", len(names)) as told:
            setup.renew(*names, told=told)
    server = setup.server_renewed
    print(f"new keys and certificates: {_list(names) or 'none due'}")
    if names:
        again = f"limpet deploy BOARD --device {names[0]}"
        print(f"A board has its old ones until the new ones are deployed to it: {again}")
    print("broker: " + ("new certificate; have it read that" if server else "none due"))
    if names or server:
        reload.tell(setup)


def decommission(device: str, /, *, yes: Yes = False, fleet: FleetOption = None) -> None:
    """Retire a device: its retained Messages are cleared, and it is locked out. Its folder stays
    until `limpet fleet remove`.

    Switch the board off first: one that is connected is thrown out, and would come back.

    Parameters
    ----------
    device
        The device's id.
    """
    layout = Layout(required(fleet).root)
    found = one(layout, device)
    base = layout.bases().get(device)
    if base is None:
        raise Problem(
            f"{device} is revoked already, or in no registry: nobody may clear what is retained.",
            f"Take it back first: limpet fleet renew {device}. Or remove it.",
        )
    if not yes:
        asked.agreed(f"Retire {found.name}, of the fleet {layout.root}?", "Nothing was changed.")
    setup = open_setup(layout.root)
    with retained.clearing(setup, device, base) as connected:
        cleared = connected.clear()
        # While its name is taken: it cannot come back in between.
        setup.revoke(device)
        left: list[str] = []
        with contextlib.suppress(Problem):  # a broker that starts anew to end who was revoked
            left = connected.retained()
    print(f"{device}: cleared {', '.join(cleared) or 'nothing, as nothing was retained'}")
    print(f"{device}: revoked; its folder stays: {layout.device(device)}")
    reload.tell(setup, device)
    if left:
        print(
            f"It has said {', '.join(left)} again. Switch it off, take it back (limpet fleet renew "
            f"{device}), and retire it once more."
        )


def remove(device: str, /, *, yes: Yes = False, fleet: FleetOption = None) -> None:
    """Take a device out of the fleet: out of the brokers' registry, and its folder with its key.

    Its certificates are revoked.

    Parameters
    ----------
    device
        The device's id.
    """
    layout = Layout(required(fleet).root)
    one(layout, device)
    folder = layout.device(device)
    if not yes:
        asked.agreed(
            f"Remove {device} from the fleet {layout.root}, and {folder} with its key?",
            "Nothing was removed.",
        )
    with unused(folder):
        # The registry first: what is cut short here is a device that no broker lets in.
        setup = open_setup(layout.root)
        setup.forget(device)
        private.remove(folder)
    print(f"{device} is out of the registry, and {folder} is gone.")
    print("Its certificates are revoked.")
    reload.tell(setup, device)
    print("The board keeps its key until it is erased: limpet flash BOARD --erase")


def _named(layout: Layout, names: Sequence[str]) -> list[str]:
    """Return the names, each once; raises Problem where one is no device of the registry."""
    known = layout.registered().devices
    for name in names:
        if name not in known:
            one(layout, name)  # says which there are
            raise Problem(f"{name} is not in the registry.", f"limpet provision {name} enters it.")
    return list(dict.fromkeys(names))


def _is_due(device: Device, within: int | None) -> bool:
    """Whether a device's certificate ends within so many days; None: whenever."""
    if device.entry is None or device.entry.revoked is not None or device.ends is None:
        return False
    return within is None or device.ends < datetime.now(UTC) + timedelta(days=within)


def _list(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest:,} more" if rest > 0 else "")
