"""The groups into which the sources are sorted, taken out again on the way to a chip.

A group is a package without code, whose __init__.py has a docstring at most, or a folder without
__init__.py within a package: `node/session/link.py` lies in the group `node.session`, and on a chip
it is `link.mpy`, imported as `link`. There each group would be one more module in the heap, a part
of every other one's name, and one more folder to look through. A package with code stays one:
`node/commands/ping.py` is `commands/ping.mpy`. Lines stay lines.

A name that is put together at run time is not seen, but for one whose first text has the group and
a dot: `"node.session." + name`.
"""

import ast
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from limpet.node_host.short_names import Edit, edited
from limpet.shared.paths import CLIENTS
from limpet.shared.problem import Problem

# Stays where it is: main.py imports it by this name, also one that a board has had for years.
ENTRY = "device.guard"


class Source(NamedTuple):
    """A file for a chip: where it lies here, where on a chip (relative), and its text there."""

    path: Path
    name: PurePosixPath
    text: str

    @property
    def module(self) -> str:
        """What it is imported as on a chip."""
        parts = self.name.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(*folders: Path) -> list[list[Source]]:
    """Return what is in each of `folders` as a chip has it, sorted by path.

    A file may import from the groups of any of them. Raises Problem when one means a group itself,
    or when two of a folder would be the same module on a chip.
    """
    groups = {group: package for folder in folders for group, package in _groups(folder)}
    found = []
    for folder in folders:
        there: dict[str, Path] = {}
        files = [_source(folder, path, groups) for path in _files(folder)]
        for each in files:
            if (other := there.setdefault(each.module, each.path)) != each.path:
                names = [path.relative_to(folder).as_posix() for path in (other, each.path)]
                cause = f"{' and '.join(names)} would both be the module `{each.module}` on a chip."
                raise Problem(cause, "Give one of them another name.")
        found.append(files)
    return found


def ungrouped(source: str, groups: Mapping[str, str]) -> str:
    """Return the text of a file without `groups`, which says of each in which package it lies on a
    chip; "": in none.

    Raises Problem when it means a group itself.
    """
    edits: list[Edit] = []
    for row, first, name, means in _names(source):
        if means in groups:
            raise Problem(f"`{means}` is a group, which no chip has.", "Name what is in it.")
        flat = _without_group(name, groups)
        if flat != name and (flat or name.endswith(".")):
            edits.append((row, first, len(name), flat))
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and groups.get(node.module or "") == "":
            edits += _from_nowhere(node, lines)
    return edited(source, edits)


def _from_nowhere(node: ast.ImportFrom, lines: list[str]) -> Iterator[Edit]:
    """Edits that make `import a, b` of a statement that imports modules from a group."""
    stays = [each for each in node.names if f"{node.module}.{each.name}" == ENTRY]
    texts = [f"from {node.module} import {ast.unparse(each)}" for each in stays]
    if moved := ", ".join(ast.unparse(each) for each in node.names if each not in stays):
        texts.insert(0, f"import {moved}")
    last = (node.end_lineno or node.lineno) - 1
    for row in range(node.lineno - 1, last + 1):
        first = node.col_offset if row == node.lineno - 1 else 0
        end = node.end_col_offset or 0 if row == last else len(lines[row].encode())
        yield row, first, end - first, "; ".join(texts)
        texts = []


def _files(folder: Path) -> Iterator[Path]:
    """Its Python files, but for an __init__.py that only makes a package of a group, and for what
    no node is made of.
    """
    for path in sorted(folder.rglob("*.py")):
        if path.relative_to(folder).parts[0] == CLIENTS.name:
            continue
        if path.name != "__init__.py" or _has_code(path):
            yield path


def _has_code(init: Path) -> bool:
    found = ast.parse(init.read_text("utf-8")).body
    return any(not isinstance(getattr(each, "value", None), ast.Constant) for each in found)


def _source(folder: Path, path: Path, groups: Mapping[str, str]) -> Source:
    relative = path.relative_to(folder)
    module = ".".join(relative.with_suffix("").parts)
    name = _without_group(module, groups).replace(".", "/") + path.suffix
    return Source(path, PurePosixPath(name), ungrouped(path.read_text("utf-8"), groups))


def _groups(folder: Path) -> Iterator[tuple[str, str]]:
    """Each group below `folder`, innermost first, and the package that it lies in on a chip."""
    found: dict[tuple[str, ...], tuple[str, ...]] = {}
    paths = {above for path in folder.rglob("*.py") for above in path.parents}
    for path in sorted(path for path in paths if folder in path.parents):
        parts = path.relative_to(folder).parts
        above = [folder.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        if not any((each / "__init__.py").exists() for each in above):
            continue  # it lies in no package
        outside = found.get(parts[:-1], ())
        init = path / "__init__.py"
        is_group = not init.exists() or not _has_code(init)
        found[parts] = outside if is_group else (*outside, parts[-1])
        if is_group:
            yield ".".join(parts), ".".join(outside)


def _without_group(name: str, groups: Mapping[str, str]) -> str:
    inside = [group for group in groups if name == group or name.startswith(f"{group}.")]
    if not inside or name == ENTRY:
        return name
    group = max(inside, key=len)
    return (groups[group] + name[len(group) :]).lstrip(".")


def _names(source: str) -> Iterator[tuple[int, int, str, str]]:
    """What may name a module: line from 0, first byte, the name, and what is meant by it."""
    lines = [line.encode() for line in source.splitlines()]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                means = f"{node.module}.{alias.name}"
                yield node.lineno - 1, node.col_offset + len("from "), node.module, means
        elif isinstance(node, ast.Import):
            for alias in node.names:
                # It binds the first of them, from where code goes on through the others.
                for means in itertools.accumulate(alias.name.split("."), "{}.{}".format):
                    yield alias.lineno - 1, alias.col_offset, alias.name, means
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            # A word alone is no module: "node" is an area of the log.
            row, first = node.lineno - 1, node.col_offset + 1
            if lines[row][first:].startswith(node.value.encode()):
                yield row, first, node.value, node.value
