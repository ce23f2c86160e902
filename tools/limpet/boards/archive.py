"""The file in which the modules of a slot lie, one behind the other: `firmware/device/quick.py`
reads it, and says how it is laid out.

The modules that quick.py itself needs, and what main.py imports, are files beside it.
"""

import struct
from collections.abc import Iterator
from zlib import crc32

from limpet.shared.problem import Problem

NAME = "modules"
# What main.py imports by its path, and what reads the file.
_BESIDE = ("device/guard.mpy", "quick.mpy")
_MAGIC = b"LM"
_HEAD, _ENTRY = struct.Struct("<2sH"), struct.Struct("<II")


def packed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the files of a slot by path, with its modules in one. What is no byte code stays a
    file. Raises Problem when two paths cannot be told apart.
    """
    inside = {n: data for n, data in files.items() if n.endswith(".mpy") and n not in _BESIDE}
    if not inside:
        return files
    keys = {crc32(f"/{name}".encode()): name for name in inside}
    if len(keys) < len(inside):
        names = ", ".join(inside.keys() - keys.values())
        raise Problem(f"The path of a module has another one's CRC-32: {names}.", "Rename it.")
    at = _HEAD.size + _ENTRY.size * len(inside)
    index = _HEAD.pack(_MAGIC, len(inside))
    for key, name in keys.items():
        index += _ENTRY.pack(key, at)
        at += len(inside[name])
    archive = index + b"".join(inside.values())
    return {NAME: archive} | {name: data for name, data in files.items() if name not in inside}


def pieces(archive: bytes) -> Iterator[bytes]:
    """Yield what the file begins with, and then each module."""
    _, count = _HEAD.unpack_from(archive)
    first = _HEAD.size + _ENTRY.size * count
    starts = [start for _, start in _ENTRY.iter_unpack(archive[_HEAD.size : first])]
    for start, end in zip([0, *starts], [*starts, len(archive)], strict=True):
        yield archive[start:end]
