"""How `limpet` ends: its output gone, a thread of it ended, a file that cannot be written."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.shared import ending
from support.brokers.running import RunningBroker, fields
from support.brokers.scripted_device import ScriptedDevice
from support.fleets import fleet
from support.tool import LIMPET, TIMEOUT_S, Tool
from support.virtual_board.board import VirtualBoard

FULL = Path("/dev/full")
CUT_SHORT = (
    "limpet: Standard output is cut short: No space left on device.\n"
    "Make room, or write it elsewhere.\n"
)
# Makes the named method raise in whatever thread calls it, and runs the command line.
FAILS = """
import sys
from {module} import {owner}
def fails(*_):
    raise ValueError("of this test")
{owner}.{method} = fails
sys.argv[1:] = {words!r}
from limpet.cli import main
main()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A set-up of its own, with node-1."""
    open_setup(fleet(tmp_path)).device(fields("node-1"))
    return tmp_path


@pytest.fixture
def words(root: Path, virtual_board: Callable[..., VirtualBoard]) -> Iterator[Callable]:
    """The command line of a subcommand that shows something for as long as it is let."""
    with EmbeddedBroker(root) as broker:
        board = None

        def line(name: str) -> list[str]:
            nonlocal board
            if name == "console":
                said = "import time\nwhile True:\n    print('again')\n    time.sleep(0.1)\n"
                board = virtual_board(files={"/main.py": said.encode()})
                return ["console", "--port", board.url]
            if name == "node":
                return ["node", "--root", str(root / "devices" / "node-1")]
            if name == "watch":
                return ["watch", "--fleet", str(root), "--port", str(broker.port)]
            return [name, "--fleet", str(root)]

        yield line


def ended(words: list[str], stdout: object) -> tuple[int, str]:
    """Run it with that output; return exit code and what it says on standard error."""
    line = [str(LIMPET), *words]
    done = subprocess.run(
        line,
        stdin=subprocess.DEVNULL,
        stdout=stdout,  # type: ignore[call-overload]
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        # As under a shell: a process of the group that stays behind would hold the pipe.
        start_new_session=True,
    )
    return done.returncode, done.stderr


def children(pid: int) -> list[int]:
    """The processes that the process `pid` has started."""
    tasks = Path(f"/proc/{pid}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


@pytest.mark.parametrize("name", ["node", "watch", "console"])
def test_closed_pipe_is_a_clean_end(words: Callable[[str], list[str]], name: str) -> None:
    """Who only shows ends with 0 and without a word when nobody reads any more, also where there
    is nothing to say (watch); a node says its goodbye and is gone.
    """
    line = [str(LIMPET), *words(name)]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdout=pipe, stderr=pipe, start_new_session=True) as process:
        assert process.stdout
        assert process.stderr
        if name != "watch":
            assert process.stdout.readline()
        nodes = children(process.pid)
        assert len(nodes) == (name == "node")
        process.stdout.close()
        try:
            assert process.wait(TIMEOUT_S) == 0
        finally:
            process.kill()  # if it stands, the end of the block would wait for it
        assert process.stderr.read() == b""
    for pid in nodes:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("name", ["node", "run", "console", "provision", "--help"])
def test_full_disk_is_said(words: Callable[[str], list[str]], root: Path, name: str) -> None:
    """Cause and remedy, exit code 1; who has work to do has done it."""
    line = ["provision", "node-2", "--fleet", str(root)] if name == "provision" else words(name)
    if name == "--help":
        line = [name]
    with open(FULL, "w") as full:
        assert ended(line, full) == (1, CUT_SHORT)
    assert (root / "devices" / "node-2" / "identity.json").exists() == (name == "provision")


def test_output_that_was_never_open(root: Path) -> None:
    """With all three streams closed it works the same, and no file takes their numbers."""
    line = f'"{LIMPET}" provision node-3 --fleet "{root}" <&- >&- 2>&-'
    done = subprocess.run(["sh", "-c", line], timeout=TIMEOUT_S)
    assert done.returncode == 0
    assert (root / "devices" / "node-3" / "identity.json").exists()


@pytest.mark.parametrize(
    ("name", "module", "owner", "method"),
    [
        ("node", "limpet.node_host.process", "NodeProcess", "_say"),
        ("run", "limpet.node_host.process", "NodeProcess", "_say"),
        ("watch", "limpet.operating.operator_client", "OperatorClient", "_subscribed"),
        ("broker", "asyncio", "Event", "wait"),
    ],
)
def test_thread_that_ends_ends_all(
    words: Callable[[str], list[str]], name: str, module: str, owner: str, method: str
) -> None:
    """Whatever ends a thread ends the program, soon and with its cause."""
    line = words(name) + (["--port", "0"] if name == "broker" else [])
    script = FAILS.format(module=module, owner=owner, method=method, words=line)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 1, done.stderr
    assert "ValueError: of this test\n" in done.stderr
    assert done.stderr.endswith("and all with it: ValueError.\nThis is a bug: report it.\n")


def test_sigterm_is_a_clean_end(broker: RunningBroker) -> None:
    """A service manager's way to end it leaves no traceback and no node."""
    where = ("--fleet", broker.setup.layout.root, "--port", str(broker.port))
    with Tool("watch", *where) as tool, ScriptedDevice(broker) as device:
        device.says("status", b"{}", retain=True)
        said = tool.wait_for("status {}")
        tool.process.send_signal(signal.SIGTERM)
        assert tool.end() == 0
    assert tool.text.splitlines() == said.splitlines()


INTERRUPTED = """
import signal
from limpet.shared import ending
ending.prepare()
signal.signal(signal.SIGALRM, signal.default_int_handler)
n = 0
while n < 20000:
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0002)
        while True:
            n += 1
            print(f"{n}\\n", end="")  # one write
    except KeyboardInterrupt:
        pass
"""


def test_ctrl_c_while_it_prints() -> None:
    """Nothing is said twice because of it: what was on its way is said once or not at all."""
    line = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(line, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 0, done.stderr
    numbers = [int(word) for word in done.stdout.split()]
    assert len(numbers) > 1000
    assert numbers == sorted(set(numbers))


class Console(io.RawIOBase):
    """Windows's console, which is written as text: no file of bytes, though it has a number."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        """It is for output."""
        return True

    def fileno(self) -> int:
        """Standard output's."""
        return 1

    def write(self, data: Any, /) -> int:
        """Take all of it."""
        self.written += bytes(data)
        return len(data)


def test_console_of_windows_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes written past it would come out in the code page of its window."""
    console = Console()
    stream = io.TextIOWrapper(io.BufferedWriter(console), "utf-8", line_buffering=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(ending, "_output", None)
    assert ending._guarded("stdout", 1) is None
    assert sys.stdout is stream
    assert not ending.lost()
    print("24.4 °C")
    assert console.written.decode() == f"24.4 °C{os.linesep}"
