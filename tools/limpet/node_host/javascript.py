"""MicroPython's builds for JavaScript, for releases of which there is no other for a PC: which
version npm is asked for, and by which hash it is known. The tests run cases under them.

No node runs under them, and they are none of `MICROPYTHON=`: there are no sockets, no littlefs.
"""

import shutil
from pathlib import Path

from limpet.shared.fetching import fetched, unpack
from limpet.shared.filling import filled_once
from limpet.shared.known_files import NPM, File
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

PACKAGE = "@micropython/micropython-webassembly-pyscript"


def _package(version: str, size: int, sha256: str) -> File:
    name = f"{PACKAGE[1:].replace('/', '-')}-{version}.tgz"
    what = f"MicroPython {version} for JavaScript"
    return File(what, NPM, name, size, sha256, PACKAGE, version)


KNOWN = {
    "1.24": _package(
        "1.24.1", 212_229, "20684f51c966d23b107e1c74d4ccdd74ae56755f0450141ae8df8801b313de27"
    ),
    "1.27": _package(
        "1.27.0", 221_541, "303919763c8ebfe5923b9da66226c20dce44ad72b604b225fb39338ea15367af"
    ),
    # Six commits after 1.28.0: of the release itself there is none.
    "1.28": _package(
        "1.28.0-6", 925_620, "1f22644874da319a46bf607840d518cca320d67b16b21fb2633cd1147a7a198b"
    ),
}


def build(release: str) -> Path:
    """The build of a release of KNOWN, a file that node can import; fetched once. Raises Problem,
    also where there is no node or npm.
    """
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Problem(f"there is no {program} here.", f"Install {program}.")
    file = KNOWN[release]
    folder = CACHE / "micropython" / f"javascript-{file.version}"
    with filled_once(folder) as new:
        if new:
            unpack(fetched(file, new), new)
    return folder / "package" / "micropython.mjs"
