"""The node as a process: the firmware under MicroPython's unix port, with a folder as its flash.

It does what the chip's surroundings do: gives power, starts it again when it resets, takes power
away. It knows nothing of brokers or topics; what the node says are lines of text.
"""

import os
import re
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from types import TracebackType
from typing import Any

from limpet.node_host import debian
from limpet.node_host.bytecode import ROM, compiled
from limpet.node_host.environment import REPLAY, environment
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared import locks
from limpet.shared.paths import FIRMWARE, HOST_BOARD, LIB
from limpet.shared.problem import Problem

# How the host's machine.reset() ends the interpreter, and what the next boot is told.
RESETS = {64: "hard", 65: "watchdog", 66: "soft"}
# Longer than the 5 s that the node takes to end cleanly when the broker does not answer.
STOP_S = 10.0


def refuse_unwritable(root: Path) -> None:
    """Raise Problem where a node could not use `root` as its flash: the folder, and each file. Of
    identity and keys reading is enough.
    """
    if not os.access(root, os.R_OK | os.W_OK | os.X_OK):
        raise Problem(
            f"The node could not write into {root}, which is its flash.",
            "Make it yours (chown, chmod u+rwx), or run the node as whoever it belongs to.",
        )
    for path in sorted(root.iterdir()):
        writes = 0 if path.suffix in (".der", ".json") else os.W_OK
        if not os.access(path, os.R_OK | writes):
            what = "read and write" if writes else "read"
            raise Problem(f"The node could not {what} {path}.", "Make it yours: chown, chmod u+rw.")


class NodeProcess:
    """One node. `with NodeProcess(root) as node:` starts it and ends it.

    `root` is the node's flash (identity.json, settings.json, keys), `replay` the capture its DHT22
    plays, `sensors` what else stands on the table (LIMPET_SENSORS), `levers` the file that says
    what is wanted of them meanwhile, `heap` what `-X heapsize=` takes ("128k"), `arch` the
    interpreter's, `speed` how much faster than real time its clock runs, `umqtt` another folder
    with umqtt, `firmware` another with boot.py and main.py, `folders` all four that a node is made
    of, in place of these. `bytecode` and `frozen`: see bytecode.py. `stdin` is its console's other
    way, as Popen takes it: None for this process's own. `on_line` is called, from a thread, with
    every line the node says. One node at a time runs on a folder: two on one flash would lose
    Readings.
    """

    def __init__(
        self,
        root: Path,
        *,
        replay: Path = REPLAY,
        sensors: str = "",
        levers: Path | None = None,
        heap: str | None = None,
        arch: str = debian.HOST,
        speed: float = 1.0,
        umqtt: Path | None = None,
        firmware: Path = FIRMWARE,
        folders: Sequence[Path] = (),
        ahead: Sequence[Path] = (),
        bytecode: bool = False,
        frozen: bool = False,
        stdin: int | None = subprocess.DEVNULL,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        if not root.is_dir():
            raise Problem(f"There is no folder {root}.", "Make a node in it: limpet provision.")
        refuse_unwritable(root)
        if heap is not None and not re.fullmatch(r"[1-9](\d{0,8}|\d{0,5}[kK]|\d{0,2}[mM])", heap):
            raise Problem(f"A heap of {heap} is no size.", "Say it in bytes, k or m: 128k.")
        if not 0 < speed < float("inf"):
            raise Problem(f"A clock cannot run at speed {speed:g}.", "Say 1, or 20 for faster.")
        path = [*folders] or [firmware, LIB, HOST_BOARD, (umqtt or umqtt_dir()).resolve()]
        rom = None
        if bytecode or frozen:
            path, rom = compiled(*path, frozen=frozen)
            path.append(Path(ROM))
        # The interpreter looks beside what it runs first, so it has to run the compiled Board's.
        start = path[2] / "start.py"
        path = [*ahead, *path]
        self.lines: list[str] = []
        self.returncode: int | None = None
        self._root = root
        self._command = [
            *micropython(arch),
            *(["-X", f"heapsize={heap}"] if heap else []),
            str(start),
        ]
        self._env = environment(path, rom, replay, speed, sensors, levers)
        self._stdin = stdin
        self._on_line = on_line
        self._changed = Condition()
        self._process: subprocess.Popen[str] | None = None
        self._ending = False
        self._dark_s: float | None = None
        self._lock: int | None = None
        self._thread = Thread(target=self._run, name="limpet-node", daemon=True)

    def start(self) -> "NodeProcess":
        """Power on. Once in a NodeProcess's life. Raises Problem where another runs on `root`."""
        self.hold()
        self._spawn("power-on")
        self._thread.start()
        return self

    def hold(self) -> None:
        """Have `root` for this node alone, from now to its end; `start` does it otherwise."""
        if self._lock is not None:
            return
        # The folder itself is locked: a file in it would be one on the node's flash.
        lock = os.open(self._root, os.O_RDONLY)
        try:
            if not locks.take(lock):
                raise Problem(
                    f"A node runs already in {self._root}.", "End it, or provision another device."
                )
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    def release(self) -> None:
        """Let others have `root` again; once it has ended, they may in any case."""
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def stop(self, timeout_s: float = STOP_S) -> int:
        """End it cleanly (SIGINT, goodbye); after `timeout_s` by force. Returns its exit code."""
        return self._end(signal.SIGINT, timeout_s)

    def kill(self) -> int:
        """Take the power away (SIGKILL): no goodbye, and it is not started again."""
        return self._end(signal.SIGKILL, STOP_S)

    def cut_power(self, dark_s: float) -> bool:
        """Take the power away, and give it again after `dark_s` seconds: a power-on is next.

        Returns at once; False where it is taken away already, or the node has ended.
        """
        with self._changed:
            if self._process is None or self._ending or self._dark_s is not None:
                return False
            if self.returncode is not None:
                return False
            self._dark_s = dark_s
            self._process.kill()
        return True

    def wait(self, timeout_s: float | None = None) -> int | None:
        """Wait until it has ended by itself; its exit code, or None after `timeout_s`."""
        # Not Thread.join: a Ctrl-C there leaves Python 3.11 with a thread that it takes for ended.
        with self._changed:
            self._changed.wait_for(lambda: self.returncode is not None, timeout_s)
        return self.returncode

    def wait_for(
        self, wanted: str | Callable[[str], Any], timeout_s: float = 20.0, since: int = 0
    ) -> str:
        """Wait for a line that holds `wanted`, or for which it is true, and return that line.

        `since` is the number of lines to pass over: `len(node.lines)` asks for one yet to come.
        Raises TimeoutError, with the last lines, after `timeout_s` or when the node has ended.
        """
        fits = wanted if callable(wanted) else lambda line: wanted in line
        deadline = monotonic() + timeout_s
        with self._changed:
            while True:
                while since < len(self.lines):
                    since += 1
                    if fits(self.lines[since - 1]):
                        return self.lines[since - 1]
                left_s = deadline - monotonic()
                if self.returncode is not None or left_s <= 0:
                    break
                self._changed.wait(left_s)
        how = (
            f"for {timeout_s:g} s" if self.returncode is None else f"before exit {self.returncode}"
        )
        raise TimeoutError(f"no line {wanted!r} {how}:\n" + "\n".join(self.lines[-30:]))

    @property
    def pid(self) -> int:
        """The process id of the interpreter that runs now; another one after a reset."""
        if self._process is None:
            raise RuntimeError("the node was not started")
        return self._process.pid

    def __enter__(self) -> "NodeProcess":
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _spawn(self, reset: str) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=self._root,
            env={**self._env, "LIMPET_RESET": reset},
            stdin=self._stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C in a terminal goes to its whole group: the node must hear of it from us, once.
            start_new_session=True,
            # There are passwords in what it writes.
            umask=0o077,
            # Where this process is killed, the node may outlive it, and still has its folder.
            pass_fds=() if self._lock is None else (self._lock,),
        )

    def _run(self) -> None:
        """Pass the lines on, over all resets, until the node has ended. A thread of its own."""
        try:
            self._follow()
        except BaseException:
            # Who waits for the node is not to wait for ever; the rest is threading.excepthook's.
            assert self._process
            self._process.kill()
            with self._changed:
                self._ending = True
                self.returncode = self._process.wait(STOP_S)
                self.release()
                self._changed.notify_all()
            raise

    def _follow(self) -> None:
        while True:
            process = self._process
            assert process
            assert process.stdout
            with process.stdout as lines:
                for line in lines:
                    self._say(line.rstrip("\n"))
            code = process.wait()
            with self._changed:
                reset = RESETS.get(code)
                if self._dark_s is not None:
                    self._changed.wait_for(lambda: self._ending, self._dark_s)
                    self._dark_s, reset = None, "power-on"
                if self._ending or reset is None:
                    self.release()
                    self.returncode = code
                    self._changed.notify_all()
                    return
                self._spawn(reset)

    def _say(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()
        if self._on_line:
            self._on_line(line)

    def _end(self, how: signal.Signals, timeout_s: float) -> int:
        if self._process is None:
            return 0
        with self._changed:
            self._ending = True
            self._changed.notify_all()
            if self.returncode is None:
                self._process.send_signal(how)
        if self._thread.ident is None:
            # Interrupted in start(): what the node says last has to be read all the same.
            self._thread.start()
        code = self.wait(timeout_s)
        if code is None:
            self._process.kill()
            code = self.wait(STOP_S)
        self._thread.join(STOP_S)
        return -signal.SIGKILL if code is None else code
