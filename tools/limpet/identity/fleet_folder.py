"""Which fleet a tool works with: the folder that holds a `limpet.toml`.

It is looked for from the working directory upwards, as git looks for its own. Where there is none,
LIMPET_FLEET names it; where that is not set, it is `fleet` in the user's data directory. `--fleet`
goes before all of these.
"""

import os
import shlex
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter
from platformdirs import user_data_path

from limpet.shared.paths import OLD_SETUP
from limpet.shared.problem import Problem

MARK = "limpet.toml"
VARIABLE = "LIMPET_FLEET"

# The one option of all verbs that need to know.
FleetOption = Annotated[
    Path | None,
    Parameter(
        name="--fleet",
        help="Folder of the fleet, from `limpet init` [default: found from the working directory "
        f"upwards, else {VARIABLE}, else the user's data directory].",
    ),
]


class Found(NamedTuple):
    """A fleet's folder, as it was named, and what named it: "--fleet", LIMPET_FLEET, ..."""

    root: Path
    by: str


HERE = "the working directory"
OPTION = "--fleet"
DATA = "the user's data directory"


def is_fleet(folder: Path) -> bool:
    """Whether `folder` is a fleet's; False as well where nobody may look."""
    return os.path.isfile(folder / MARK)


def is_old_setup(folder: Path) -> bool:
    """Whether `folder` is what `limpet provision` made before there were fleets (0.1)."""
    return os.path.isdir(folder / "operator") and os.path.isdir(folder / "ca")


def located(
    given: Path | None, here: Path | None, named: str | None, data: Path, trusted: Collection[int]
) -> Found | None:
    """Return the fleet that is `given`, else the one that `here` (a working directory) is in, else
    the one that `named` (a variable's value) or `data` is; None where there is none.

    trusted: user ids whose folders are believed by lying there. Whose limpet.toml lies in a parent
    folder says what is deployed; so a stranger's is not followed unless it is named. Raises Problem
    for that, and for a folder that is named and is no fleet.
    """
    if given is not None:
        return Found(_named(given), OPTION)
    for folder in (here, *here.parents) if here else ():
        if is_fleet(folder):
            if folder.stat().st_uid not in trusted:
                raise Problem(
                    f"{folder} is a fleet of another user.",
                    f"If you trust it: --fleet {quoted(folder)}",
                )
            return Found(folder, HERE)
    if named:
        return Found(_named(Path(named), f"{VARIABLE}: "), VARIABLE)
    return Found(data, DATA) if is_fleet(data) else None


def _named(folder: Path, said: str = "") -> Path:
    folder = folder.expanduser()  # not every shell expands ~ behind FLEET=
    if is_fleet(folder):
        return folder
    try:
        os.stat(folder / MARK)
    except PermissionError:  # one of root's, say: to make it again is no remedy
        raise Problem(
            f"{said}Whether {folder} is a fleet cannot be seen: Permission denied.",
            "Let your user read it, or name another.",
        ) from None
    except OSError:
        pass
    if is_old_setup(folder):
        raise Problem(
            f"{said}{folder} is a set-up of Limpet 0.1, and no fleet yet.",
            f"Take it over: limpet init FOLDER --from {quoted(folder)}",
        )
    raise Problem(
        f"{said}There is no fleet in {folder}.", f"Make one: limpet init {quoted(folder)}"
    )


def current(given: Path | None = None) -> Found | None:
    """Return the fleet that counts here and now, `given` by --fleet or not; None: there is none.

    Raises Problem as `located` does.
    """
    try:
        here = Path.cwd()
    except OSError:  # removed under our feet
        here = None
    return located(given, here, os.environ.get(VARIABLE), data_folder(), _trusted())


def required(given: Path | None = None) -> Found:
    """Return the fleet that counts here and now; raises Problem where there is none, too."""
    where = current(given)
    if where is None:
        raise Problem(
            f"There is no fleet: no {MARK} in the working directory or above it, "
            f"{VARIABLE} is not set, and {data_folder()} is none.",
            "Make one: limpet init FOLDER. " + _old_ones(),
        )
    return where


def tell(where: Found) -> None:
    """Say on standard error which fleet it is, where neither a folder nor an option has said so."""
    if where.by not in (OPTION, HERE):
        print(f"limpet: in the fleet {where.root}, by {where.by}", file=sys.stderr)


def own_boards(given: Path | None = None) -> Path | None:
    """Return the folder of the user's own Boards in the fleet that counts; None without a fleet."""
    where = current(given)
    return where.root / "boards" if where else None


def option(root: Path) -> str:
    """Return what a command line, in a shell, needs behind it to mean the fleet `root`: nothing,
    where that is found without; else ` --fleet ROOT`.
    """
    try:
        where = current()
    except Problem:
        where = None
    same = where is not None and os.path.realpath(where.root) == os.path.realpath(root)
    return "" if same else f" --fleet {quoted(root)}"


def quoted(folder: Path) -> str:
    """Return the path as one word of a command line in a shell, for one that is shown."""
    return shlex.quote(str(folder))


def data_folder() -> Path:
    """Where the fleet lies that is found from everywhere."""
    return user_data_path("limpet", appauthor=False) / "fleet"


def _old_ones() -> str:
    if is_old_setup(OLD_SETUP):
        of = f"Of {OLD_SETUP}, where devices were until now"
        return f"{of}: limpet init FOLDER --from {quoted(OLD_SETUP)}"
    return "Then work in it, say --fleet FOLDER, or set " + VARIABLE + "."


def _trusted() -> set[int]:
    if os.name == "nt":
        return {0}  # what Windows says of every file
    user = os.geteuid()
    # Who calls us by sudo, for a serial port, is in his own fleet.
    caller = os.environ.get("SUDO_UID", "") if user == 0 else ""
    return {0, user} | ({int(caller)} if caller.isdigit() else set())
