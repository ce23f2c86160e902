"""`limpet node` and NodeProcess: what surrounds the chip. The firmware here is a few lines."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.node_host.debian import available
from limpet.node_host.process import NodeProcess
from limpet.shared.problem import Problem
from support.tool import gone

Node = Callable[..., NodeProcess]

WAITS = """
import os, sys, time
try:
    print("0.000 node boot reset=" + os.getenv("LIMPET_RESET"))
    while True:
        time.sleep(0.05)
except KeyboardInterrupt:
    print("1.000 node stopped")
"""


@pytest.fixture
def make(tmp_path: Path) -> Node:
    """Make a node whose main.py (and boot.py) are the given texts, with an empty flash."""
    for folder in ("firmware", "flash"):
        (tmp_path / folder).mkdir()

    def node(main: str, boot: str | None = None, **options: object) -> NodeProcess:
        (tmp_path / "firmware" / "main.py").write_text(main)
        if boot is not None:
            (tmp_path / "firmware" / "boot.py").write_text(boot)
        firmware = tmp_path / "firmware"
        return NodeProcess(tmp_path / "flash", firmware=firmware, **options)  # type: ignore[arg-type]

    return node


def test_stop_is_a_clean_end(make: Node) -> None:
    """Stop interrupts the node, which ends by itself with 0; neither process nor thread is left."""
    before = threading.active_count()
    with make(WAITS) as node:
        node.wait_for("node boot reset=power-on")
        pid = node.pid
    assert node.returncode == 0
    assert node.lines[-1] == "1.000 node stopped"
    assert gone(pid)
    assert threading.active_count() == before


def test_what_it_writes_is_its_owners(make: Node, tmp_path: Path) -> None:
    """There are passwords in an identity that it mends or makes, wherever its folder lies."""
    before = os.umask(0)
    try:
        with make("open('identity.json', 'w').close()\nimport os\nos.mkdir('log')\n") as node:
            node.wait(10)
    finally:
        os.umask(before)
    for name, mode in (("identity.json", 0o600), ("log", 0o700)):
        assert stat.S_IMODE((tmp_path / "flash" / name).stat().st_mode) == mode


def test_kill_is_a_power_cut(make: Node) -> None:
    """Kill gives the node no time to say anything, and it is not started again."""
    with make(WAITS) as node:
        node.wait_for("node boot")
        pid = node.pid
        assert node.kill() == -signal.SIGKILL
    assert gone(pid)
    assert len(node.lines) == 1


def test_power_comes_back(make: Node) -> None:
    """Cut for a moment, it boots anew as at power-on, without a goodbye; while it is dark there is
    nothing to be cut.
    """
    with make(WAITS) as node:
        for _ in range(2):
            node.wait_for("node boot")
            first, said = node.pid, len(node.lines)
            assert node.cut_power(0.2)
            assert not node.cut_power(0.2)
            assert node.wait_for("node boot", since=said) == "0.000 node boot reset=power-on"
            assert node.pid != first
            assert gone(first)
    assert node.returncode == 0
    assert len([line for line in node.lines if line.endswith("stopped")]) == 1


@pytest.mark.parametrize("end", [NodeProcess.stop, NodeProcess.kill])
def test_end_in_the_dark(make: Node, end: Callable[[NodeProcess], int]) -> None:
    """Whoever ends a node whose power is away does not wait for it, and it does not come back."""
    with make(WAITS) as node:
        node.wait_for("node boot")
        assert node.cut_power(3600)
        end(node)
        assert not node.cut_power(0)
    assert len(node.lines) == 1


def test_node_that_does_not_end_is_ended(make: Node) -> None:
    """A node that hangs in its end is killed after the time it was given."""
    deaf = WAITS.replace('print("1.000', 'time.sleep(60); print("1.000')
    with make(deaf) as node:
        node.wait_for("node boot")
        assert node.stop(timeout_s=0.2) == -signal.SIGKILL


@pytest.mark.parametrize(("code", "reset"), [(64, "hard"), (65, "watchdog")])
def test_reset_starts_it_again(make: Node, tmp_path: Path, code: int, reset: str) -> None:
    """A node that resets itself comes back as another process, and is told what kind it was."""
    resets = WAITS.replace(
        "time.sleep(0.05)", f"time.sleep(0.01); 'go' in os.listdir() and end({code})"
    )
    main = f"""
import os, sys
def end(code):
    if os.getenv("LIMPET_RESET") == "power-on":
        sys.exit(code)
{resets}"""
    with make(main) as node:
        first = node.pid
        (tmp_path / "flash" / "go").touch()
        node.wait_for(f"node boot reset={reset}")
        assert node.pid != first
    assert gone(first)
    assert node.returncode == 0


def test_other_exit_codes_end_it(make: Node) -> None:
    """A refused config (78) is the end: it would be refused again."""
    with make("import sys; print('0.000 config refused field=org rule=x'); sys.exit(78)") as node:
        assert node.wait(60) == 78
        assert node.wait_for("config refused")


def test_boot_then_main_as_on_the_chip(make: Node) -> None:
    """boot.py runs first, main.py as __main__ in the same namespace, both in the flash's folder."""
    main = "import os\nprint(__name__, told, os.getcwd().rsplit('/', 1)[1])"
    with make(main, boot="told = 'by boot'") as node:
        assert node.wait(60) == 0
    assert node.lines == ["__main__ by boot flash"]


def test_error_in_boot_keeps_main_from_running(make: Node) -> None:
    """As on the chip, an uncaught error in boot.py is shown and main.py is not run."""
    with make("print('main')", boot="1/0") as node:
        assert node.wait(60) == 1
    assert node.lines[-1].startswith("ZeroDivisionError")
    assert "main" not in node.lines


def test_options_reach_the_node(make: Node, tmp_path: Path) -> None:
    """Capture, speed and heap get to the interpreter, the capture as an absolute path, and so does
    the levers' file.
    """
    main = "import gc, os\nprint(os.getenv('LIMPET_REPLAY'), os.getenv('LIMPET_SPEED'), "
    main += "os.getenv('LIMPET_LEVERS'))\n"
    main += "gc.collect(); print(gc.mem_free() + gc.mem_alloc())"
    with make(main, replay=Path("x.jsonl"), levers=Path("y"), speed=20, heap="128k") as node:
        assert node.wait(60) == 0
    assert node.lines[0] == f"{Path.cwd() / 'x.jsonl'} 20 {Path.cwd() / 'y'}"
    assert 100_000 < int(node.lines[1]) <= 128 * 1024


@pytest.mark.skipif(not available("i386"), reason="i386 runs on Debian x86-64 machines only")
def test_32_bit_node(make: Node) -> None:
    """`arch` chooses the 32-bit interpreter."""
    with make("import sys\nprint(sys.maxsize)", arch="i386") as node:
        assert node.wait_for("2147483647")


def test_other_umqtt_is_found_first(make: Node, tmp_path: Path) -> None:
    """`umqtt` puts another umqtt in the place of the pinned one."""
    (tmp_path / "other" / "umqtt").mkdir(parents=True)
    (tmp_path / "other" / "umqtt" / "simple.py").write_text("VERSION = 'other'")
    main = "from umqtt.simple import VERSION\nprint(VERSION)"
    with make(main, umqtt=tmp_path / "other") as node:
        assert node.wait_for("other")


def test_waiting_for_a_line_that_never_comes(make: Node) -> None:
    """Waiting fails as soon as the node has ended, with its last lines in the message."""
    with make("print('last words')") as node, pytest.raises(TimeoutError, match="last words"):
        node.wait_for("never", timeout_s=60)


def test_waiting_for_lines_yet_to_come(make: Node) -> None:
    """`since` passes over what was said before, and a predicate chooses freely."""
    heard: list[str] = []
    with make("for n in range(3): print('line', n)", on_line=heard.append) as node:
        node.wait_for("line 2")
        assert node.wait_for("line", since=1) == "line 1"
        assert node.wait_for(lambda line: line.endswith("2")) == "line 2"
    assert heard == node.lines


@pytest.mark.parametrize(
    "options",
    [
        {"heap": "much"},
        {"heap": "9999m"},
        {"speed": 0},
        {"speed": float("nan")},
        {"arch": "sparc"},
        {"root": "nowhere"},
    ],
)
def test_bad_options_are_refused(make: Node, tmp_path: Path, options: dict[str, object]) -> None:
    """Options that cannot work are refused with cause and remedy, before anything runs."""
    root = tmp_path / str(options.pop("root", "flash"))
    with pytest.raises(Problem) as problem:
        NodeProcess(root, **options)  # type: ignore[arg-type]
    assert problem.value.remedy


def test_folder_is_for_one_node_at_a_time(make: Node, tmp_path: Path) -> None:
    """A second node on the same flash is refused by its name, over a reset of the first one too;
    after its end or a power cut the next one starts.
    """
    resets = WAITS.replace(
        "    while", "    if os.getenv('LIMPET_RESET')[0] == 'p': sys.exit(64)\n    while"
    )
    for end in (NodeProcess.stop, NodeProcess.kill):
        with make(resets) as node:
            node.wait_for("node boot reset=hard", 60)
            with pytest.raises(Problem) as problem:
                make(WAITS).start()
            assert str(tmp_path / "flash") in problem.value.cause
            end(node)
    assert not list((tmp_path / "flash").iterdir())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_command_ends_cleanly(make: Node, tmp_path: Path, how: signal.Signals) -> None:
    """Ctrl-C and SIGTERM to `limpet node` are a clean end of the node, and exit code 0."""
    make(WAITS)
    script = (
        "from functools import partial; from pathlib import Path\n"
        "from limpet.operating import node\n"
        f"firmware = Path({str(tmp_path / 'firmware')!r})\n"
        "node.NodeProcess = partial(node.NodeProcess, firmware=firmware)\n"
        f"node.node(root=Path({str(tmp_path / 'flash')!r}))"
    )
    line = [sys.executable, "-c", script]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout
        assert command.stdout.readline() == "0.000 node boot reset=power-on\n"
        command.send_signal(how)
        assert command.stdout.read() == "1.000 node stopped\n"
        assert command.wait(60) == 0
