"""`limpet deploy`: a node's code and config onto a board that has MicroPython, in two phases.

What differs goes into the slot that is not in use, and is verified there; then one rename puts it
in use. Until that rename the board runs its old version, whatever happens: the cable pulled, the
power gone, Ctrl-C, no room. What has been sent by then counts for the next try. The board's
watchdog runs meanwhile and is fed from here, so that a board that is left alone starts again.

It puts no MicroPython on a board (that is flash), leaves the node's Readings alone, and an interval
that a Command has set.
"""

from pathlib import Path

from limpet.boards import archive
from limpet.boards.board_facts import BoardFacts, facts
from limpet.boards.node_files import code_files
from limpet.boards.port import find_port
from limpet.brokers import age
from limpet.deploying import arrival, surveying
from limpet.deploying.deployment import KEPT, ROOM, Deployment
from limpet.deploying.remote import Gone, NoRoom, Remote
from limpet.deploying.slots import Survey
from limpet.identity import fleet_folder
from limpet.identity.device_folder import DeviceFolder, checked, for_wifi
from limpet.identity.layout import Layout
from limpet.shared.firmware import rules
from limpet.shared.problem import Problem

OLDEST = (1, 23)
WATCH_S = 90.0
_AGAIN = "Deploy again: what has been sent is not sent a second time."


def deploy(
    board: str,
    /,
    *,
    port: str | None = None,
    device: str | None = None,
    fleet: fleet_folder.FleetOption = None,
    replace: bool = False,
    watch: bool = True,
) -> None:
    """Copy a node's code and config onto a board with MicroPython, and watch it come up.

    Parameters
    ----------
    board
        A folder below the fleet's boards/, or below ours.
    port
        Serial port or URL; not needed when one board is plugged in.
    device
        The device that it becomes; not needed when one is provisioned. Without any, only code goes.
    replace
        Deploy although the board has been another device until now.
    watch
        Follow the board's log until it is up, or tells why not.
    """
    where = fleet_folder.current(fleet)
    if where:
        fleet_folder.tell(where)
    wanted = facts(board, own=fleet_folder.own_boards(fleet))
    root = where.root if where else None
    put(wanted, port, device, root, replace, WATCH_S if watch else None)


def put(
    wanted: BoardFacts,
    port: str | None,
    device: str | None,
    root: Path | None,
    replace: bool,
    watch_s: float | None,
) -> None:
    """Do what `deploy` says, with a device of the set-up in `root`, None: without one; and follow
    the log for `watch_s`, None: not at all. Raises Problem.
    """
    folder = _folder(root, device)
    code = archive.packed(code_files(wanted))
    where = find_port(port)
    with Remote(where) as remote:
        deployment = None
        try:
            there = surveying.survey(remote)
            version = ".".join(map(str, there.version))
            print(f"board    {there.machine}, MicroPython {version}, at {where}")
            _refuse(wanted, folder, there, replace)
            deployment = Deployment(code, folder, there, remote)
            deployment.run()
        except (KeyboardInterrupt, Problem, NoRoom, RuntimeError) as error:
            remote.abandon()
            raise _told(error, deployment.committed if deployment else False) from None
        if watch_s is not None:
            arrival.watch(remote.serial(), where, watch_s)


def _told(error: BaseException, committed: bool | None) -> BaseException:
    """What ended a deploy, and what the board does now."""
    kept = "It has the new version" if committed else KEPT
    if committed is None:
        kept = "It may have the new version, or its old one"
    if isinstance(error, KeyboardInterrupt):
        return Problem(f"Stopped. {kept}.", _AGAIN)
    if isinstance(error, Gone):
        return Problem(f"{error.cause} {kept}.", f"Plug the board in. {_AGAIN}")
    if isinstance(error, NoRoom):
        return Problem(f"The board's file system is full. {kept}.", ROOM)
    if isinstance(error, RuntimeError):
        return Problem(f"The board failed ({error}). {kept}.", _AGAIN)
    return error


def _folder(root: Path | None, device: str | None) -> DeviceFolder | None:
    """The device to deploy, and all of it good; None when there is none at all."""
    if root is None:
        if device is not None:
            fleet_folder.required()  # which says that there is none
        print("config   none: there is no fleet here, so code goes alone")
        return None
    layout = Layout(root)
    age.tell(layout)
    known = sorted(layout.bases())
    if device is None:
        if not known:
            return None
        if len(known) > 1:
            raise Problem("Which device will it be?", f"Say one of: {', '.join(known)}.")
        device = known[0]
    found = for_wifi(checked(layout.device(device), device))
    if rules.is_loopback(found.config.broker):
        remedy = f"limpet provision {device} --broker ADDRESS{fleet_folder.option(root)}"
        print(f"config   {device} has its broker on the board itself: {remedy}")
    return found


def _refuse(wanted: BoardFacts, folder: DeviceFolder | None, there: Survey, replace: bool) -> None:
    """Raise Problem when this is not the board that is meant, or none that can run a node."""
    chip = there.machine.rpartition(" with ")[2]
    if chip.lower() != wanted.chip:
        raise Problem(
            f"This board has an {chip}, and {wanted.name} an {wanted.chip.upper()}.",
            "Name the board that is plugged in, or plug in the one that is named.",
        )
    if there.version < OLDEST:
        version = ".".join(map(str, there.version))
        raise Problem(
            f"MicroPython {version} is too old: it takes {OLDEST[0]}.{OLDEST[1]} or later.",
            f"Put a newer one on the board: limpet flash {wanted.name}.",
        )
    if not there.umqtt:
        raise Problem(
            "This MicroPython was built without umqtt.",
            f"Put the official one on the board: limpet flash {wanted.name}.",
        )
    own = there.fields.get("device_id")
    if folder and own not in (None, folder.device_id) and not replace:
        # What no device is called may be anything, and a terminal would do as it says.
        named = "another device" if rules.device_id(own) else own
        raise Problem(
            f"This board is {named}, not {folder.device_id}.",
            "Say --replace to make it another device, or plug in the other board.",
        )
