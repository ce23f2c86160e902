"""`mpremote mip install` of the repository, of a Board and of each module alone: what is listed is
what is needed, and MicroPython can import it.

The lists are read by mpremote's own installer, from this repository behind a web server on
loopback, and from mip's index behind another address of it, which has umqtt.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from limpet.boards.board_facts import BOARDS, names
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS, FIRMWARE, LIB, REPO
from mip import packages
from mpremote import mip
from support.micropython.upy import run
from support.virtual_board.board import VirtualBoard

PATHS = packages.of_lib()
MODULES = sorted(PATHS)
Make = Callable[..., VirtualBoard]


class _Handler(BaseHTTPRequestHandler):
    """Serves the files that git knows, or is about to, and an index with umqtt.robust."""

    def do_GET(self) -> None:
        """Answer."""
        known = self.server.known  # type: ignore[attr-defined]
        data = known.get(self.path)
        self.server.asked.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200 if data is not None else 404)
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """The repository below /repo, and mip's index below /index; `asked` is what was fetched."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        line = ["git", "-C", str(REPO), "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.check_output(line, text=True).splitlines()
        self.known = {
            f"/repo/{name}": (REPO / name).read_bytes()
            for name in listed
            if name.endswith((".py", ".json")) and (REPO / name).is_file()
        }
        hashes = []
        for path in sorted((umqtt_dir() / "umqtt").glob("*.py")):
            data = path.read_bytes()
            short = hashlib.sha256(data).hexdigest()[:8]
            hashes.append([f"umqtt/{path.name}", short])
            self.known[f"/index/file/{short[:2]}/{short}"] = data
        robust = json.dumps({"v": 1, "version": "1.0.2", "hashes": hashes}).encode()
        for mpy in ("6", "py"):
            self.known[f"/index/package/{mpy}/umqtt.robust/latest.json"] = robust

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A running server."""
    with Server() as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.05))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


class Folder:
    """The part of mpremote's transport that its installer uses, with a folder as the device.

    Stricter than a device: a file is written once, and only into a folder that was made before.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.written: set[str] = set()

    def exec(self, code: str) -> None:
        """Take the one statement that the installer runs."""
        assert code == "import sys"

    def eval(self, code: str) -> int:
        """Answer the one question that it asks: the version of byte code."""
        assert "_mpy" in code
        return 6

    def fs_exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return (self._root / path).exists()

    def fs_mkdir(self, path: str) -> None:
        """Make a folder."""
        (self._root / path).mkdir()

    def fs_hashfile(self, path: str, algorithm: str) -> bytes:
        """The hash of a file."""
        if not self.fs_exists(path):
            raise FileNotFoundError(path)
        return hashlib.new(algorithm, (self._root / path).read_bytes()).digest()

    def fs_writefile(self, path: str, data: bytes, **_: Any) -> None:
        """Write a file."""
        assert path not in self.written
        assert ".." not in PurePosixPath(path).parts
        self.written.add(path)
        (self._root / path).write_bytes(data)


def installed(package: str, server: Server, folder: Path, version: str = "") -> set[str]:
    """Install `package` into `folder`; return what was installed, umqtt left out."""
    device = Folder(folder)
    mip._install_package(device, package, f"{server.url}/index", "lib", version or None, True)
    return {path.removeprefix("lib/") for path in device.written if "/umqtt/" not in path}


def needed(module: str) -> set[str]:
    """What a module of lib/ needs of lib/, itself included, as MicroPython finds it out."""
    known = f"{{{', '.join(map(repr, MODULES))}}}"
    # What is imported within functions counts too: each is compiled, and its text read.
    script = f"import sys\nimport {module}\nprint(*({known} & set(sys.modules)))"
    found = set(run(script, path=[umqtt_dir(), CLIENTS]).split())
    # What is imported within a function, here or in one of those.
    for name in sorted(found | {module}):
        for node in ast.walk(ast.parse(PATHS[name].read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names} & set(MODULES)
            elif isinstance(node, ast.ImportFrom):
                found |= {str(node.module)} & set(MODULES)
    return {f"{name}.py" for name in found}


@pytest.mark.parametrize("module", MODULES)
def test_module_alone(server: Server, tmp_path: Path, module: str) -> None:
    """A module's list holds it and what it imports, nothing else; installed into a folder of its
    own it can be imported, with nothing of the repository in reach.
    """
    found = installed(f"{server.url}/repo/lib/{module}.json", server, tmp_path)
    assert found == needed(module)
    for name in found:
        source = PATHS[name.removesuffix(".py")]
        assert (tmp_path / "lib" / name).read_bytes() == source.read_bytes()
    umqtt = (tmp_path / "lib" / "umqtt").exists()
    assert umqtt == ("umqtt_tls.py" in found)
    script = f"import sys; sys.path[:] = ['lib', '.frozen']; import {module}; print('fine')"
    assert run(script, cwd=tmp_path) == "fine\n"


def test_repository(server: Server, tmp_path: Path) -> None:
    """The list of the repository holds all of firmware/ and lib/ but what starts it, the drivers of
    sensors that no Board of ours has, and the clients that no node loads; each module that a laptop
    can import is imported from what was installed.
    """
    found = installed(f"{server.url}/repo/", server, tmp_path)
    wanted = {
        path.relative_to(folder).as_posix()
        for folder in (FIRMWARE, LIB)
        for path in folder.rglob("*.py")
        if CLIENTS not in path.parents
    }
    others = {"dht11.py", "ds18b20.py", "sht3x.py", "sht4x.py", "supply.py"}
    assert found == wanted - {"boot.py", "main.py"} - others
    modules = [
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for name in found
    ]
    script = f"""
import sys
sys.path[:] = ["lib", "stand-ins", ".frozen"]
for name in {sorted(modules)!r}:
    __import__(name)
print(len(sys.modules))
"""
    (tmp_path / "stand-ins").mkdir()
    for name in ("machine", "laptop", "replay"):
        (tmp_path / "stand-ins" / f"{name}.py").write_bytes(
            (BOARDS / "host" / f"{name}.py").read_bytes()
        )
    assert int(run(script, cwd=tmp_path)) >= len(modules)


@pytest.mark.parametrize("name", names())
def test_board(server: Server, tmp_path: Path, name: str) -> None:
    """The list of a Board holds its board.py; with the repository's all of its imports are there
    but those that only the chip has.
    """
    assert installed(f"{server.url}/repo/boards/{name}", server, tmp_path) == {"board.py"}
    files = installed(f"{server.url}/repo/package.json", server, tmp_path)
    imported = set(packages.imports(tmp_path / "lib" / "board.py"))
    chip = {"network", "machine", "gc", "os", "time"}
    assert imported - chip <= {PurePosixPath(each).parts[0] for each in files}


def test_address_of_a_repository(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`github:OWNER/limpet`, with a module's list or a version behind it, finds the same files:
    each address that mpremote makes of it is one of this repository, at that version.
    """
    asked: list[str] = []

    def urlopen(url: str) -> io.BytesIO:
        if url.startswith(server.url):
            return io.BytesIO(server.known[url.removeprefix(server.url)])
        found = re.fullmatch(r"https://[\w.]+/OWNER/limpet/([\w.]+)/(.*)", url)
        assert found, url
        asked.append(found[1])
        return io.BytesIO(server.known[f"/repo/{found[2]}"])

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for number, (package, version) in enumerate(
        (("", ""), ("/lib/recordlog.json", ""), ("", "v0.1.0"), ("/boards/esp32_devkit", ""))
    ):
        del asked[:]
        folder = tmp_path / str(number)
        folder.mkdir()
        assert installed(f"github:OWNER/limpet{package}", server, folder, version)
        assert set(asked) == {version or "HEAD"}


def test_lists_are_up_to_date() -> None:
    """Each list is what tools/mip/packages.py writes; there is none of a module gone."""
    wanted = {path: packages.text(package) for path, package in packages.packages().items()}
    old = [str(path) for path in wanted if not path.exists() or path.read_text() != wanted[path]]
    assert not old, "write them again: .venv/bin/python tools/mip/packages.py"
    assert {path for path in wanted if path.parent == LIB} == set(LIB.glob("*.json"))


def test_mpremote_installs_onto_a_board(server: Server, virtual_board: Make) -> None:
    """The command a user types, against a board: the client arrives in /lib with umqtt and can be
    imported there.
    """
    board = virtual_board()
    board.wait_for("Type")
    mpremote = str(Path(sys.executable).with_name("mpremote"))
    line = [mpremote, "connect", board.port, "mip", "install", "--index", f"{server.url}/index"]
    done = subprocess.run(
        [*line, f"{server.url}/repo/lib/umqtt_tls.json"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    line = [mpremote, "connect", board.port, "exec", "import umqtt_tls; print(umqtt_tls.__file__)"]
    assert subprocess.check_output(line, text=True).strip() == "/lib/umqtt_tls.py"
    files = board.files()
    assert {"/lib/umqtt_tls.py", "/lib/transport.py", "/lib/umqtt/robust.py"} <= files.keys()
    assert files["/lib/umqtt_tls.py"] == (LIB / "umqtt_tls.py").read_bytes()
