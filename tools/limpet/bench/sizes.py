"""What each module of the node costs: bytes of its .mpy, and of heap once it is imported.

A 32-bit interpreter measures it, whose objects have the ESP32's sizes, for a node that has just
been joined. It will NOT count what a chip has in its own firmware: umqtt, `machine`.
"""

from __future__ import annotations

import ast
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from limpet.bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet.bench.tree import SCRIPTS, Tree
from limpet.bench.world import Mosquitto, World
from limpet.provision import Setup

# What a node loads besides, here alone.
_OURS = {path.stem for path in SCRIPTS.glob("*.py")}
_KB = 1024
BOOT = "loaded at boot, .mpy"
JOINED = "joined, from .mpy"


class Module(NamedTuple):
    """One line of the table; `mpy` is 0 for what is in the chip's firmware."""

    name: str
    mpy: int
    heap: int


def measure(tree: Tree | None = None, flash: Path | None = None) -> tuple[list[Module], int]:
    """Return the modules of a node that has been joined, and the heap that it uses then."""
    tree = tree or Tree()
    if flash is None:
        with tempfile.TemporaryDirectory() as scratch:
            setup = Setup(Path(scratch) / "dev")
            return measure(tree, World(setup, Mosquitto(setup), Path(scratch)).flash(8883))
    how = {"form": "bytecode", "arch": "i386", "heap": "1m"}
    said = tree.run("bench_join", flash, {}, **how)
    names = _in_order(tree, set(said["loaded"]) - _OURS)
    heaps = tree.run("bench_import", flash, {"names": names}, **how)["heaps"]
    modules = []
    for name, heap in zip(names, heaps, strict=True):
        path = compiled_file(tree, name)
        modules.append(Module(name, path.stat().st_size if path.exists() else 0, int(heap)))
    return modules, int(said["used"])


def compiled_file(tree: Tree, name: str) -> Path:
    """Where the byte code of a module lies that is no part of a chip's firmware."""
    found = _source(tree, name)
    assert found
    number, source = found
    folders, _ = tree.modules("bytecode")
    return (folders[number] / source.relative_to(tree.folders[number])).with_suffix(".mpy")


def _source(tree: Tree, name: str) -> tuple[int, Path] | None:
    for number, folder in enumerate(tree.folders):
        for path in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
            if (folder / path).exists():
                return number, folder / path
    return None  # a folder without __init__.py, or __main__


def _in_order(tree: Tree, names: set[str]) -> list[str]:
    """`names`, each behind what it imports, so that it is charged with nothing but itself."""
    order: list[str] = []

    def visit(name: str) -> None:
        found = _source(tree, name) if name in names - set(order) else None
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


def _rows(world: World, tree: Tree) -> list[Row]:
    modules, used = measure(tree, world.flash())
    files = [path for folder in tree.modules("bytecode")[0][:2] for path in folder.rglob("*.mpy")]
    return [
        Row(BOOT, "bytes", (sum(each.mpy for each in modules),)),
        Row("all that is on flash, .mpy", "bytes", (sum(p.stat().st_size for p in files),)),
        Row(JOINED, "bytes", (used,)),
    ]


def _judge(rows: Rows) -> list[Verdict]:
    return [at_most(rows[BOOT], 32 * _KB, "at most 32 KB of .mpy loaded at boot")]


FIGURE = Figure(
    "sizes",
    "Byte code and heap, per module",
    "Bytes of what mpy-cross makes of firmware/ and lib/; heap on a 32-bit interpreter, where an "
    "object has the ESP32's size, each module imported behind those that it imports.",
    _rows,
    judge=_judge,
)
