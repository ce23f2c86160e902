"""What `mpremote mip install` reads: a package.json for the repository and for each Board, and one
NAME.json for each module of lib/ alone.

    python tools/mip/packages.py    writes them again: a file came, went, or imports another

The repository's holds the drivers of the sensors that our Boards have; another one is a module of
lib/, to be had alone, and so is a client in lib/clients/. mip takes an address beside the list for
the root of its files, but no `..` and no relative package: so a module's list holds what it
imports, too, and lies in lib/, and a Board's holds nothing but its board.py. umqtt comes
from mip's own index: an ESP32 has it in its firmware and does not look at what is installed, but
other chips have not. boot.py and main.py are not in a list: mip installs into /lib, and they have
to lie outside.
"""

import json
from pathlib import Path
from typing import Any

from limpet.boards.board_facts import BOARDS, facts, names
from limpet.boards.drivers import imports
from limpet.boards.node_files import modules
from limpet.shared.firmware import version
from limpet.shared.paths import CLIENTS, FIRMWARE, LIB, REPO

# By the module that is imported.
OF_THE_INDEX = {"umqtt": "umqtt.robust"}
# What no chip can run.
_CPYTHON = {"mqtt_cpython"}
_STARTERS = {"boot.py", "main.py"}


def packages() -> dict[Path, dict[str, Any]]:
    """Return the content of each list by the file that it belongs into."""
    found = {LIB / f"{name}.json": _module(name) for name in sorted(of_lib())}
    for name in names():
        found[BOARDS / name / "package.json"] = _package({"board.py": "board.py"}, set())
    sources = dict.fromkeys(sorted(FIRMWARE.rglob("*.py")), FIRMWARE)
    sources |= dict.fromkeys(_of_lib(), LIB)
    files = {}
    imported: set[str] = set()
    for path, folder in sources.items():
        if path.name not in _STARTERS:
            files[str(path.relative_to(folder))] = str(path.relative_to(REPO))
            imported.update(imports(path))
    found[REPO / "package.json"] = _package(files, imported)
    return found


def of_lib() -> dict[str, Path]:
    """Return each module of lib/, and of the clients below it, by its name."""
    found = {path.stem: path for folder in (LIB, CLIENTS) for path in folder.glob("*.py")}
    return {name: path for name, path in found.items() if name not in _CPYTHON}


def _of_lib() -> list[Path]:
    """What the firmware imports of lib/, with the drivers of the sensors that our Boards have."""
    found = {path for name in names() for path in modules(BOARDS / name, facts(name).sensors)}
    return sorted(path for path in found if path.parent == LIB)


def text(package: dict[str, Any]) -> str:
    """Return a list as it is in its file: a line for each entry."""
    return (
        json.dumps(package, indent=2)
        .replace("[\n      ", "[")
        .replace('",\n      "', '", "')
        .replace('"\n    ]', '"]')
        + "\n"
    )


def _module(module: str) -> dict[str, Any]:
    """The list of one module of lib/: with what it imports, and what that imports."""
    known = of_lib()
    files: dict[str, str] = {}
    imported: set[str] = set()
    wanted = [module]
    while wanted:
        name = wanted.pop()
        if name in known and f"{name}.py" not in files:
            files[f"{name}.py"] = known[name].relative_to(LIB).as_posix()
            wanted += imports(known[name])
        imported.add(name)
    return _package(dict(sorted(files.items())), imported)


def _package(files: dict[str, str], imported: set[str]) -> dict[str, Any]:
    package: dict[str, Any] = {"version": version.VERSION, "urls": [*map(list, files.items())]}
    if deps := [[OF_THE_INDEX[name], "latest"] for name in sorted(imported & OF_THE_INDEX.keys())]:
        package["deps"] = deps
    return package


if __name__ == "__main__":
    for target, package in packages().items():
        target.write_text(text(package), "utf-8")
