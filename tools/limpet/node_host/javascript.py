"""MicroPython's builds for JavaScript, for releases of which there is no other for a PC: which
version npm is asked for, and by which hash it is known. The tests run cases under them.

No node runs under them, and they are none of `MICROPYTHON=`: there are no sockets, no littlefs.
"""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

from limpet.shared.filling import filled_once
from limpet.shared.paths import BUILD
from limpet.shared.problem import Problem

PACKAGE = "@micropython/micropython-webassembly-pyscript"
# The package's version, and npm's own `dist.integrity` of it, the base64 of a SHA-512.
KNOWN = {
    "1.24": (
        "1.24.1",
        "FC+Lv9TcwyBczC3FcyKYV/loxieXF7B7I5mwxA8wlmw8zm7RFHTL83kOSb06m0bOwgIkiSBwVlxd+2wTBM5NjA==",
    ),
    "1.27": (
        "1.27.0",
        "DnXx4EqxgkeaFESrS3uKrL7mLMk4mRTd0mMzaOd3HUSiZUOAE7t11uLnjf3ftF87N2xm4knHnWEKcVK4IYIUDA==",
    ),
    # Six commits after 1.28.0: of the release itself there is none.
    "1.28": (
        "1.28.0-6",
        "eRJw+jOhFPoEClHRI8RmzIBjORpOhVdDFcdrNYHUc0U+EwchuD5cYIfmgvj3RWim7vBnjBK8mYxMBBVduOo8Lw==",
    ),
}
FETCH_S = 120


def build(release: str) -> Path:
    """The build of a release of KNOWN, a file that node can import; fetched once. Raises Problem,
    also where there is no node or npm.
    """
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Problem(f"there is no {program} here.", f"Install {program}.")
    version, sha512 = KNOWN[release]
    folder = BUILD / "micropython" / f"javascript-{version}"
    with filled_once(folder) as new:
        if new:
            _fill(new, version, sha512)
    return folder / "package" / "micropython.mjs"


def _fill(new: Path, version: str, sha512: str) -> None:
    line = ["npm", "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{version}"]
    try:
        done = subprocess.run(line, cwd=new, capture_output=True, text=True, timeout=FETCH_S)
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    except subprocess.TimeoutExpired:
        said = [f"nothing came for {FETCH_S} s"]
    archives = list(new.glob("*.tgz"))
    if not archives:
        raise Problem(f"npm did not succeed: {said[0]}", "Connect and start again.")
    [archive] = archives
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != sha512:
        raise Problem(
            f"{archive.name} is not the one known: its SHA-512 is {found}.",
            "Do not use it: find out what stands between this machine and npm's registry.",
        )
    with tarfile.open(archive) as package:
        # Python 3.11 has filters from its fourth release on (Debian 12 has 3.11.2); it is the known
        # archive in any case.
        filtered = getattr(tarfile, "data_filter", None)
        package.extractall(new, **({"filter": filtered} if filtered else {}))
    archive.unlink()
