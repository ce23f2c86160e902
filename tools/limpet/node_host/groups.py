"""The groups into which the sources are sorted, taken out again on the way to a chip.

A group is a folder without __init__.py within a package: `node/session/link.py` lies in the group
`node.session`, and on a chip it is `node/link.mpy`, imported as `node.link`. There each group would
be one more module in the heap, and a part of every other one's name. Lines stay lines.

A name that is put together at run time is not seen, but for one whose first text has the group and
a dot: `"node.session." + name`.
"""

import ast
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from limpet.node_host.short_names import Edit, edited
from limpet.shared.problem import Problem


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
    AssertionError when two would be the same module on a chip.
    """
    groups = {group: package for folder in folders for group, package in _groups(folder)}
    found = []
    for folder in folders:
        files = [_source(folder, path, groups) for path in sorted(folder.rglob("*.py"))]
        modules = [each.module for each in files]
        twice = {module for module in modules if modules.count(module) > 1}
        assert not twice, f"two modules would have one name on a chip: {', '.join(sorted(twice))}"
        found.append(files)
    return found


def ungrouped(source: str, groups: Mapping[str, str]) -> str:
    """Return the text of a file without `groups`, which says of each in which package it lies.

    Raises Problem when it means a group itself.
    """
    edits: list[Edit] = []
    for row, first, name, means in _names(source):
        if means in groups:
            raise Problem(f"`{means}` is a group, which no chip has.", "Name what is in it.")
        if (flat := _without_group(name, groups)) != name:
            edits.append((row, first, len(name), flat))
    return edited(source, edits)


def _source(folder: Path, path: Path, groups: Mapping[str, str]) -> Source:
    relative = path.relative_to(folder)
    parts = _without_group(".".join(relative.parent.parts), groups).split(".")
    return Source(
        path, PurePosixPath(*parts, path.name), ungrouped(path.read_text("utf-8"), groups)
    )


def _groups(folder: Path) -> Iterator[tuple[str, str]]:
    """Each group below `folder`, innermost first, and the package that it lies in."""
    for path in sorted({path.parent for path in folder.rglob("*.py")}, reverse=True):
        parts = path.relative_to(folder).parts
        down = [folder.joinpath(*parts[: depth + 1]) for depth in range(len(parts))]
        packages = [each.name for each in down if (each / "__init__.py").exists()]
        if packages and not (path / "__init__.py").exists():
            yield ".".join(parts), ".".join(packages)


def _without_group(name: str, groups: Mapping[str, str]) -> str:
    for group, package in groups.items():
        if name == group or name.startswith(group + "."):
            return package + name[len(group) :]
    return name


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
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            row, first = node.lineno - 1, node.col_offset + 1
            if lines[row][first:].startswith(node.value.encode()):
                yield row, first, node.value, node.value
