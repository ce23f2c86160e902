"""Reads requirements.lock: each package with its version, its hashes, and who asks for it."""

import re
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Package:
    """A package of the lock. `hashes` are SHA-256 of every archive that there is of it, in hex.

    `marker` is where it is needed, "" for everywhere. `asked_by` are names of the lock's packages,
    and of the project: `limpet (pyproject.toml)`, or `limpet (pyproject.toml:dev)`.
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    asked_by: tuple[str, ...]


def packages(lock: str) -> list[Package]:
    """Return the packages in the text of a lock. A name may be there twice: in two versions, for
    two Pythons.

    Raises ValueError at a line that is none of uv's, and at a package without hash, or that nobody
    asks for.
    """
    found = []
    for block in re.split(r"\n(?=[^\s#])", lock.strip()):
        head, *rest = block.splitlines()
        requirement = Requirement(head.removesuffix("\\").strip())
        (version,) = (each.version for each in requirement.specifier)
        hashes: list[str] = []
        asked_by: list[str] = []
        for line in map(str.strip, rest):
            if known := _HASH.match(line):
                hashes.append(known[1])
            elif line.startswith("#"):
                who = line.removeprefix("#").strip().removeprefix("via").strip()
                asked_by.append(who if "(" in who else canonicalize_name(who))
            else:
                raise ValueError(f"{requirement.name}: {line}")
        asked_by = [each for each in asked_by if each]
        if not hashes or not asked_by:
            raise ValueError(f"{requirement.name} has no hash, or nobody asks for it: make lock")
        name = canonicalize_name(requirement.name)
        marker = str(requirement.marker or "")
        found.append(Package(name, version, marker, tuple(sorted(hashes)), tuple(asked_by)))
    return found
