"""What each module of the node costs: bytes of its .mpy, and of heap once it is imported.

A 32-bit interpreter measures it, whose objects have the ESP32's sizes, for a node that has just
been joined. What a chip has in its own firmware (umqtt, `machine`) is not counted.
"""

from __future__ import annotations

import ast
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from limpet.brokers.setup import open_setup
from limpet.node_host.groups import sources

from limpet_bench.figure import Figure, Row, Rows, Verdict, at_most
from limpet_bench.tree import SCRIPTS, TIMEOUT_S, Tree, Unmeasured
from limpet_bench.world import Mosquitto, World

# What a node loads besides, here alone.
_OURS = {path.stem for path in SCRIPTS.glob("*.py")}
_KB = 1024
# Loaded by a first boot, in safe mode, on a chip alone, or for another sensor.
_NOT_ON_USE = {
    "boot",
    "main",
    "console",
    "first_config",
    "improv",
    "provisioning",
    "upgrade",
    "safe",
}
_NOT_ON_USE |= {"esp32_board", "heap_size", "mounting", "quick", "wifi"}
_NOT_ON_USE |= {"dht11", "ds18b20", "sht3x", "sht4x", "supply"}
BOOT = "loaded at boot, .mpy"
JOINED = "joined, from .mpy"


class Module(NamedTuple):
    """One line of the table.

    mpy: 0 for what is in the chip's firmware. heap: None where only a chip can import it. at_boot:
    whether a node that is up has it, rather than on use.
    """

    name: str
    mpy: int
    heap: int | None
    at_boot: bool


def measure(tree: Tree | None = None, flash: Path | None = None) -> tuple[list[Module], int]:
    """Return all modules of the node, and the heap that one takes that has just been joined."""
    tree = tree or Tree()
    if flash is None:
        with tempfile.TemporaryDirectory() as scratch:
            setup = open_setup(Path(scratch) / "dev")
            return measure(tree, World(setup, Mosquitto(setup), Path(scratch)).flash(8883))
    how = {"form": "bytecode", "arch": "i386", "heap": "1m"}
    said = tree.run("bench_join", flash, {}, **how)
    loaded = set(said["loaded"]) - _OURS
    # Those that are loaded at boot first: what is imported on use finds them there.
    names = _in_order(tree, loaded)
    names += [name for name in _in_order(tree, loaded | set(_on_flash(tree))) if name not in names]
    heaps = tree.run("bench_import", flash, {"names": names}, **how)["heaps"]
    modules, files = [], _compiled_files(tree)
    for name, heap in zip(names, heaps, strict=True):
        path = files[name]
        mpy = path.stat().st_size if path.exists() else 0
        modules.append(Module(name, mpy, heap, name in loaded))
    return modules, int(said["used"])


def names(tree: Tree, flash: Path, more: Iterable[str]) -> int:
    """Return how many names MicroPython keeps for a node that has imported `more` while it was up.

    They lie in a table that has room for 620; for the 621st it takes 4.5 KB in one piece.
    """
    how: dict[str, Any] = {"form": "bytecode", "arch": "i386", "heap": "1m"}
    with tree.start("bench_names", flash, {"names": list(more)}, **how) as process:
        said, errors = process.communicate(timeout=TIMEOUT_S)
    found = [int(each) for each in re.findall(r"n_qstr=(\d+)", said)]
    if process.returncode or len(found) != 2:
        raise Unmeasured(errors.strip()[-200:])
    return found[1] - found[0]


def on_use(tree: Tree) -> set[str]:
    """Return what a node may import while it is up, whatever happens to it."""
    return set(_on_flash(tree)) - _NOT_ON_USE


def at_boot(modules: list[Module]) -> int:
    """Return the bytes of byte code that are loaded at boot."""
    return sum(each.mpy for each in modules if each.at_boot)


def _on_flash(tree: Tree) -> Iterator[str]:
    for found in sources(*tree.folders)[:2]:  # the node's own: firmware and lib
        yield from (each.module for each in found if each.module not in ("boot", "main"))


def _compiled_files(tree: Tree) -> dict[str, Path]:
    """Where the byte code of each module lies, unless it is part of a chip's firmware."""
    folders, _ = tree.modules("bytecode")
    return {
        each.module: (folder / each.name).with_suffix(".mpy")
        for folder, found in zip(folders, sources(*tree.folders), strict=False)
        for each in found
    }


def _in_order(tree: Tree, names: set[str]) -> list[str]:
    """`names`, each behind what it imports, so that it is charged with nothing but itself."""
    order: list[str] = []
    texts = {each.module: each.text for found in sources(*tree.folders) for each in found}

    def visit(name: str) -> None:
        # The others are a folder without __init__.py, or __main__.
        if name in names - set(order) and name in texts:
            for wanted in _imports(ast.parse(texts[name]).body):
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
    """Return what was measured as text: first what is loaded at boot, the largest on top."""
    lines = [f"{'module':28}{'.mpy':>8}{'heap':>8}"]
    for each in ordered(modules):
        heap = "" if each.heap is None else each.heap
        lines.append(f"{each.name:28}{each.mpy:8}{heap:8}{'' if each.at_boot else '  on use'}")
    lines.append(f"{'loaded at boot':28}{at_boot(modules):8}")
    lines.append(f"{'all of them':28}{sum(each.mpy for each in modules):8}")
    lines.append(f"{'the node, joined':28}{used:16}")
    return "\n".join(lines)


def ordered(modules: list[Module]) -> list[Module]:
    """Return them as a reader wants them."""
    return sorted(modules, key=lambda one: (not one.at_boot, -(one.heap or 0), -one.mpy, one.name))


def _rows(world: World, tree: Tree) -> list[Row]:
    modules, used = measure(tree, world.flash())
    return [
        Row(BOOT, "bytes", (at_boot(modules),)),
        Row("on flash, .mpy", "bytes", (sum(each.mpy for each in modules),)),
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
