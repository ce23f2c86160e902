"""The drivers of sensors: what a PC has to know of one. They are read, and not run.

A driver is a module with a function sensor(machine, ...), in the Board's own folder or in lib/
(docs/adding.md).
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from limpet.shared.paths import LIB


class Field(NamedTuple):
    """A field as its driver declares it (lib/sensing.py): a value is a whole number of
    10**-decimals units, from low to high. What is not written out is "" or 0.
    """

    name: str
    unit: str = ""
    decimals: int = 0
    low: int = 0
    high: int = 0


class Driver(NamedTuple):
    """A driver: its file; what `sensor` wants to be told beside `machine`, and how much of that at
    least; what it takes for the rest, as far as that is written out; its fields as far as they are
    written out; and its BUS, on which several may share their GPIOs ("": none may).
    """

    path: Path
    wants: tuple[str, ...]
    least: int
    usual: tuple[object, ...]
    fields: tuple[Field, ...]
    bus: str

    @classmethod
    def of(cls, folder: Path, name: str) -> "Driver | None":
        """Return the driver `name`; None where there is none. The Board's own, in its `folder`,
        goes before lib/'s.
        """
        path = module(folder, name)
        tree = _parsed(path) if path else None
        if path is None or tree is None:
            return None
        for statement in tree.body:
            match statement:
                case ast.FunctionDef(name="sensor", args=arguments):
                    wants = tuple(each.arg for each in arguments.args[1:])
                    least = len(wants) - len(arguments.defaults)
                    usual = tuple(getattr(each, "value", None) for each in arguments.defaults)
                    fields = tuple(_fields(folder, tree))
                    return cls(path, wants, least, usual, fields, _bus(folder, tree))
        return None

    def told(self, *said: object) -> tuple[object, ...]:
        """Return all that `sensor` is told when this is `said`, what it takes for the rest
        included.
        """
        return (*said, *self.usual[len(said) - self.least :])


def module(folder: Path, name: str) -> Path | None:
    """Return the file of a module: the Board's own, in its `folder`, goes before lib/'s."""
    return next((path for at in (folder, LIB) if (path := at / f"{name}.py").is_file()), None)


def imports(path: Path) -> Iterator[str]:
    """The first part of each name that a file imports, at whatever depth."""
    for node in ast.walk(_parsed(path) or ast.Module([], [])):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return None  # the compiler says it better


def _fields(folder: Path, tree: ast.Module) -> Iterator[Field]:
    """The fields: Field("...", ...) in the driver, else in what it builds on. What is put together
    otherwise, the node checks when it boots.
    """
    found = [field for node in ast.walk(tree) for field in _declared(node)]
    yield from found
    if not found:
        for base in _bases(folder, tree):
            yield from _fields(folder, base)


def _declared(node: ast.AST) -> Iterator[Field]:
    match node:
        case ast.Call(func=ast.Name(id="Field"), args=[ast.Constant(value=str(name)), *others]):
            try:
                unit, decimals, low, high, *_ = map(ast.literal_eval, others)
                yield Field(name, str(unit), int(decimals), int(low), int(high))
            except (ValueError, TypeError):
                yield Field(name)


def _bus(folder: Path, tree: ast.Module) -> str:
    for statement in tree.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="BUS")], value=ast.Constant(value=str(bus))):
                return bus
            case ast.ImportFrom(module=str(), names=names) if "BUS" in [n.name for n in names]:
                return next((_bus(folder, base) for base in _bases(folder, tree)), "")
    return ""


def _bases(folder: Path, tree: ast.Module) -> Iterator[ast.Module]:
    """The modules at hand from which a driver imports, but for sensing."""
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom) and statement.module not in (None, "sensing"):
            path = module(folder, str(statement.module))
            if path and (found := _parsed(path)):
                yield found
