"""Writes what Limpet is made of, as a CycloneDX SBOM. `make sbom` calls it.

It takes everything from what the project pins: requirements.lock, the tables of files that are
known by hash, uPlot's VERSION, and the node's own sources. So it needs no network, and the same
commit gives the same bytes on each machine. SOURCE_DATE_EPOCH, where it is set, is its date.
"""

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from cyclonedx.model import (
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from limpet.boards import micropython_download as images
from limpet.boards.board_facts import BOARDS, facts, names
from limpet.boards.node_files import modules
from limpet.node_host import javascript, releases, umqtt
from limpet.shared.firmware import version
from limpet.shared.known_files import NPM, File
from limpet.shared.paths import FIRMWARE, REPO
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sbom.locked import Package, packages

LOCK = REPO / "requirements.lock"
FOLDER = REPO / "dist"
UPLOT = REPO / "tools" / "limpet" / "page" / "static" / "vendor" / "uplot"
REQUIRED, OPTIONAL, EXCLUDED = (
    ComponentScope.REQUIRED,
    ComponentScope.OPTIONAL,
    ComponentScope.EXCLUDED,
)
MIT = DisjunctiveLicense(id="MIT")
# The library gives every BOM a date.
NO_DATE = datetime(1970, 1, 1, tzinfo=UTC)


def text(epoch: str = "") -> str:
    """Return the SBOM as JSON. `epoch` is its date, in seconds since 1970; "" for none.

    Raises ValueError when it does not hold to CycloneDX' schema, or a lock or VERSION that it is
    made from cannot be read.
    """
    date = datetime.fromtimestamp(int(epoch), UTC) if epoch else NO_DATE
    bom = _bom()
    bom.metadata.timestamp = date
    # Its number follows from what is in it: other content, another number.
    bom.serial_number = uuid5(NAMESPACE_OID, "limpet")
    bom.serial_number = uuid5(NAMESPACE_OID, JsonV1Dot6(bom).output_as_string())
    said = json.loads(JsonV1Dot6(bom).output_as_string())
    if not epoch:
        del said["metadata"]["timestamp"]
    found = json.dumps(said, indent=2, sort_keys=True) + "\n"
    if fault := JsonStrictValidator(SchemaVersion.V1_6).validate_str(found):
        raise ValueError(f"it is no CycloneDX: {fault}")
    return found


def scopes(lock: list[Package], project: dict[str, Any]) -> dict[str, ComponentScope]:
    """Return who needs each package of the lock: everybody, who wants an extra, or developers.

    `project` is the table of that name in pyproject.toml.
    """
    found = {package.name: EXCLUDED for package in lock}
    extras = list(chain.from_iterable(project["optional-dependencies"].values()))
    for scope, wanted in ((OPTIONAL, extras), (REQUIRED, project["dependencies"])):
        left: list[str] = [canonicalize_name(Requirement(each).name) for each in wanted]
        while left:
            name = left.pop()
            if found[name] != scope:
                found[name] = scope
                left += [package.name for package in lock if name in package.asked_by]
    return found


def _bom() -> Bom:
    limpet = Component(
        name="limpet",
        version=version.VERSION,
        type=ComponentType.APPLICATION,
        bom_ref="limpet",
        licenses=[MIT],
        purl=PackageURL("pypi", None, "limpet", version.VERSION),
    )
    node = _node()
    bom = Bom()
    bom.metadata.component = limpet
    others = [node, *_images(), *_fetched(), _uplot()]
    lock = packages(LOCK.read_text("utf-8"))
    project = tomllib.loads((REPO / "pyproject.toml").read_text("utf-8"))["project"]
    scoped = scopes(lock, project)
    made = [(package, _package(package, scoped[package.name])) for package in lock]
    for component in (*others, *(part for _, part in made)):
        bom.components.add(component)
    direct = [part for package, part in made if any("(" in who for who in package.asked_by)]
    bom.register_dependency(limpet, [*others, *direct])
    for package, part in made:
        asked = [other for each, other in made if package.name in each.asked_by]
        bom.register_dependency(part, asked)
    return bom


def _package(package: Package, scope: ComponentScope) -> Component:
    where = [Property(name="limpet:marker", value=package.marker)] if package.marker else []
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        scope=scope,
        bom_ref=f"pypi:{package.name}@{package.version}",
        hashes=[_sha256(each) for each in package.hashes],
        purl=PackageURL("pypi", None, package.name, package.version),
        properties=where,
    )


def _node() -> Component:
    """What is ours on a chip: the sources, of which the chip gets byte code."""
    paths = set(FIRMWARE.rglob("*.py"))
    for name in names():
        paths |= {BOARDS / name / "board.py", *modules(BOARDS / name, facts(name).sensors)}
    return Component(
        name="limpet-node",
        version=version.VERSION,
        type=ComponentType.FIRMWARE,
        scope=REQUIRED,
        bom_ref="limpet-node",
        licenses=[MIT],
        components=[_file(path) for path in sorted(paths)],
    )


def _images() -> Iterator[Component]:
    for board, size, digest in images.IMAGES.values():
        name = f"{board}-{images.DAY}-v{images.VERSION}.bin"
        yield Component(
            name=f"MicroPython {board}",
            version=images.VERSION,
            type=ComponentType.FIRMWARE,
            scope=REQUIRED,
            bom_ref=name,
            description=f"{size} bytes. With ESP-IDF, Mbed TLS, lwIP and umqtt of MicroPython's own"
            " choice in it, which are not listed here.",
            licenses=[MIT],
            hashes=[_sha256(digest)],
            purl=PackageURL("generic", None, "micropython", images.VERSION, {"file_name": name}),
            external_references=[
                ExternalReference(
                    type=ExternalReferenceType.DISTRIBUTION,
                    url=XsUri(images.SITE + name),
                    hashes=[_sha256(digest)],
                )
            ],
        )


def _fetched() -> Iterator[Component]:
    """What is fetched by its hash: umqtt, MicroPython for a PC, and what only tests have."""
    for file in umqtt.FILES.values():
        yield _of(file, REQUIRED)
    for tag in releases.WHEELS:
        yield _of(releases.wheel(tag), OPTIONAL)
    for file in javascript.KNOWN.values():
        yield _of(file, EXCLUDED)
    for release, (suite, by_arch) in releases.DEBIAN.items():
        for arch, digest in by_arch.items():
            yield Component(
                name="micropython",
                version=release,
                type=ComponentType.APPLICATION,
                scope=OPTIONAL,
                bom_ref=f"debian:micropython_{release}_{arch}",
                licenses=[MIT],
                hashes=[_sha256(digest)],
                purl=PackageURL(
                    "deb", "debian", "micropython", None, {"arch": arch, "distro": suite}
                ),
            )


def _of(file: File, scope: ComponentScope) -> Component:
    kind = "npm" if file.source == NPM else "pypi"
    group, _, name = file.project.rpartition("/")
    return Component(
        name=file.project,
        version=file.version,
        type=ComponentType.LIBRARY,
        scope=scope,
        bom_ref=f"{kind}:{file.name}",
        licenses=[MIT],
        hashes=[_sha256(file.sha256)],
        purl=PackageURL(kind, group or None, name, file.version, {"file_name": file.name}),
    )


def _uplot() -> Component:
    """The page's charts, by the file that lies beside them. Each of its files must be the known."""
    told = (UPLOT / "VERSION").read_text("utf-8")
    release = re.match(r"uPlot (\S+) by ", told)
    known = dict(re.findall(r"^    ([0-9a-f]{64})  (\S+)$", told, re.MULTILINE))
    there = {each.name: sha256(each.read_bytes()).hexdigest() for each in UPLOT.iterdir()}
    del there["VERSION"]
    if not release or there != {name: digest for digest, name in known.items()}:
        raise ValueError(f"{UPLOT / 'VERSION'} does not say what lies beside it")
    return Component(
        name="uplot",
        version=release[1],
        type=ComponentType.LIBRARY,
        scope=OPTIONAL,
        bom_ref="npm:uplot",
        licenses=[MIT],
        purl=PackageURL("npm", None, "uplot", release[1]),
        components=[_file(UPLOT / name) for name in sorted(there)],
    )


def _file(path: Path) -> Component:
    name = path.relative_to(REPO).as_posix()
    digest = sha256(path.read_bytes()).hexdigest()
    return Component(name=name, type=ComponentType.FILE, bom_ref=name, hashes=[_sha256(digest)])


def _sha256(digest: str) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=digest)


def main() -> int:
    """Write it to dist/; return the exit code."""
    try:
        found = text(os.environ.get("SOURCE_DATE_EPOCH", ""))
    except ValueError as error:
        print(f"limpet: There is no SBOM: {error}", file=sys.stderr)
        return 1
    path = FOLDER / f"limpet-{version.VERSION}.cdx.json"
    path.parent.mkdir(exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(found, "utf-8", newline="\n")
    draft.replace(path)
    print(f"limpet: {path.parent.name}/{path.name}: {len(json.loads(found)['components'])} parts")
    return 0


if __name__ == "__main__":
    sys.exit(main())
