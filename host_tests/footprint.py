"""What each module of the node costs: bytes of its .mpy, and of heap once it is imported.

`python host_tests/footprint.py` prints the table, for a node that has just been joined.
"""

from __future__ import annotations

import ast
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from limpet import heap
from limpet.bytecode import compiled

FOLDERS = heap.folders()

IMPORT = """
for name in sys.argv[2:]:
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    print(gc.mem_alloc() - before)
"""


class Module(NamedTuple):
    """One line of the table; `mpy` is 0 for what is in the chip's firmware."""

    name: str
    mpy: int
    heap: int


def measure() -> tuple[list[Module], int]:
    """Return the modules of a node that has been joined, and the heap that it uses then."""
    loaded, used = heap.joined()
    names = _in_order(set(loaded))
    with tempfile.TemporaryDirectory() as scratch:
        heaps = heap.run(IMPORT, heap.provisioned(Path(scratch)), *names)
    folders, _ = compiled(*FOLDERS)
    modules = []
    for name, size in zip(names, heaps, strict=True):
        found = _source(name)
        assert found
        number, source = found
        path = (folders[number] / source.relative_to(FOLDERS[number])).with_suffix(".mpy")
        modules.append(Module(name, path.stat().st_size if path.exists() else 0, int(size)))
    return modules, used


def _source(name: str) -> tuple[int, Path] | None:
    for number, folder in enumerate(FOLDERS):
        for path in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
            if (folder / path).exists():
                return number, folder / path
    return None  # a folder without __init__.py, or __main__


def _in_order(names: set[str]) -> list[str]:
    """`names`, each behind what it imports, so that it is charged with nothing but itself."""
    order: list[str] = []

    def visit(name: str) -> None:
        found = _source(name) if name in names - set(order) else None
        if found:
            for wanted in _imports(ast.parse(found[1].read_text()).body):
                visit(wanted)
            order.append(name)

    for name in sorted(names):
        visit(name)
    return order


def _imports(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, ast.Import):
            yield from (alias.name for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            yield statement.module
            yield from (f"{statement.module}.{alias.name}" for alias in statement.names)


def table(modules: list[Module], used: int) -> str:
    """Return what was measured as text, the largest first."""
    lines = [f"{'module':24}{'.mpy':>8}{'heap':>8}"]
    for each in sorted(modules, key=lambda module: -module.heap):
        lines.append(f"{each.name:24}{each.mpy:8}{each.heap:8}")
    total = [sum(each.mpy for each in modules), sum(each.heap for each in modules)]
    lines.append(f"{'all of them':24}{total[0]:8}{total[1]:8}")
    lines.append(f"{'the node, joined':24}{used:16}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(*measure()) + "\n")
