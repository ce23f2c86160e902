"""`limpet fleet` revoke, renew and remove: who is let in no more, and who again. To retire a device
is in retiring.py.

Each changes the registry first, once for all that are named, and what brokers have of it follows.
No board is touched.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from limpet.brokers.setup import open_setup
from limpet.fleet import reload
from limpet.fleet.devices import Device, devices, one, unused
from limpet.fleet.report import Json, Yes, reported
from limpet.identity import consumers
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.shared import asked, bar, private
from limpet.shared.numbers import Days
from limpet.shared.problem import Problem

_SHOWN = 5


def revoke(
    device: str,
    /,
    *more: str,
    yes: Yes = False,
    fleet: FleetOption = None,
    as_json: Json = False,
) -> None:
    """Lock devices out: no broker lets them in, whichever of their certificates they show.

    Their folders stay, and so does what brokers keep of them: `limpet fleet decommission` clears
    that as well. `limpet fleet renew` takes them back, with new certificates alone.

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
            "the board, undoes it. Its retained status stays, which `limpet fleet decommission` "
            "clears as well.",
            "Nothing was revoked.",
        )
    with reported(as_json) as said:
        setup = open_setup(layout.root)
        was = setup.revoke(*names)
        for name in names:
            print(f"{name}: revoked" + ("" if name in was else " before; nothing has changed"))
        said["revoked"] = [name for name in names if name in was]
        said["before"] = [name for name in names if name not in was]
        said["to_do"] = reload.tell(setup, _list(names))


def renew(
    *device: str,
    within: Days = 30,
    all_: Annotated[bool, Parameter(name="--all", negative=())] = False,
    fleet: FleetOption = None,
    as_json: Json = False,
) -> None:
    """Give devices new keys and certificates: those that are named, else those that end soon, and
    then programs as well (`limpet operator`); and the broker, where its own ends within 60 days.

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
    with reported(as_json) as said:
        setup = open_setup(layout.root)
        known = layout.registered().devices
        back = any(known[name].revoked is not None for name in names if name in known)
        if names:
            with bar.counted("new certificates", len(names)) as told:
                setup.renew(*names, told=told)
        print(f"new keys and certificates: {_list(names) or 'none due'}")
        if names:
            again = f"limpet deploy BOARD --device {names[0]}"
            print(f"A board has its old ones until the new ones are deployed to it: {again}")
        programs: list[str] = []
        if not device:
            due = consumers.due(layout, None if all_ else within)
            programs, in_use = consumers.renew(setup, due)
            print(f"programs: {', '.join(programs) or 'none due'}")
            for name in in_use:
                print(f"{name}: not renewed, as a program has it: limpet operator renew {name}")
        server = setup.server_renewed
        print("broker: " + ("new certificate; have it read that" if server else "none due"))
        said |= {"renewed": names, "programs": programs, "broker": server}
        # A new certificate alone is nothing to a broker: it goes by its name, and by the CA.
        changed = back or server or setup.rules_renewed or setup.crl_renewed
        said["to_do"] = reload.tell(setup) if changed else []


def remove(
    device: str, /, *, yes: Yes = False, fleet: FleetOption = None, as_json: Json = False
) -> None:
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
    with reported(as_json) as said, unused(folder):
        # The registry first: what is cut short here is a device that no broker lets in.
        setup = open_setup(layout.root)
        setup.forget(device)
        private.remove(folder)
        print(f"{device} is out of the registry, and {folder} is gone.")
        print("Its certificates are revoked.")
        said["removed"] = device
        said["to_do"] = reload.tell(setup, device)
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
