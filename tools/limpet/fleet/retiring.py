"""`limpet fleet decommission`: a device that is taken down. What brokers keep of it is cleared, and
it is locked out. No board is touched.
"""

import contextlib

from limpet.brokers.setup import open_setup
from limpet.fleet import reload, retained
from limpet.fleet.devices import one
from limpet.fleet.report import Json, Yes, reported
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.shared import asked
from limpet.shared.problem import Problem


def decommission(
    device: str, /, *, yes: Yes = False, fleet: FleetOption = None, as_json: Json = False
) -> None:
    """Retire a device: its retained Messages are cleared, and it is locked out. Its folder stays
    until `limpet fleet remove`.

    Switch the board off first: one that is connected is thrown out, and would come back. One that
    was revoked before is let in for that moment, by a certificate that no board has.

    Parameters
    ----------
    device
        The device's id.
    """
    layout = Layout(required(fleet).root)
    found = one(layout, device)
    if found.entry is None:
        raise Problem(
            f"{device} is in no registry: nobody may clear what is retained.",
            f"Enter it first: limpet provision {device}. Or remove it.",
        )
    if not yes:
        asked.agreed(f"Retire {found.name}, of the fleet {layout.root}?", "Nothing was changed.")
    with reported(as_json) as said:
        setup = open_setup(layout.root)
        cleared, left = _cleared(setup, device, found.entry.base, found.entry.revoked is not None)
        print(f"{device}: cleared {', '.join(cleared) or 'nothing, as nothing was retained'}")
        print(f"{device}: revoked; its folder stays: {layout.device(device)}")
        said |= {"retired": device, "cleared": cleared, "left": left}
        said["to_do"] = reload.tell(setup, device)
        if left:
            print(
                f"It has said {', '.join(left)} again. Switch it off, and retire it once more: "
                f"limpet fleet decommission {device}"
            )


def _cleared(setup: Setup, device: str, base: str, revoked: bool) -> tuple[list[str], list[str]]:
    """Return what was cleared, and what is there again all the same. Raises Problem; who was
    revoked before is so afterwards, whatever happens.
    """
    if revoked:
        return _let_in_again(setup, device, base), []
    with retained.clearing(setup, device, base) as connected:
        cleared = connected.clear()
        # While its name is taken: it cannot come back in between.
        setup.revoke(device)
        left: list[str] = []
        with contextlib.suppress(Problem):  # a broker that starts anew to end who was revoked
            left = connected.retained()
    return cleared, left


def _let_in_again(setup: Setup, device: str, base: str) -> list[str]:
    layout = setup.layout
    made = setup.authority.client(device, valid=retained.VALID)
    try:
        with setup.changed() as registry:
            registry.issued(device, made.serial, made.expires)
        return retained.cleared_by(setup, device, base, made)
    except Problem as problem:
        raise Problem(
            f"{device} was revoked before, and its broker does not take its word yet: "
            f"{problem.cause}",
            f"Take it back (limpet fleet renew {device}), have the broker read its files anew, and "
            "retire it then.",
        ) from None
    finally:
        if device in layout.bases():
            setup.revoke(device)
