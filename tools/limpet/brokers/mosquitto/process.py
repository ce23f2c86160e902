"""mosquitto as a process of ours: started, started anew, ended with us."""

import contextlib
import os
import resource
import subprocess
import sys
import threading
from collections import deque
from logging import LogRecord, makeLogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path

from limpet.brokers.mosquitto import with_parent
from limpet.brokers.mosquitto.program import mosquitto
from limpet.shared.problem import Problem

_START_S = 30
_STOP_S = 10
_LOG_BYTES = 1_000_000


class Process:
    """mosquitto with the configuration `conf`; what it says goes to standard error. On Linux it
    ends when the thread that started it does, even by SIGKILL: let that be the main one.

    open_files: how many it is to be able to have open. log: a file for what it says as well, of
    which there are two, a megabyte each. aside: the terminal is for something else: nothing is said
    there, and Ctrl-C is not for it.
    """

    def __init__(self, conf: Path, open_files: int, log: Path, *, aside: bool = False) -> None:
        self._program = mosquitto()
        self._conf = conf
        self._open_files = open_files
        self._aside = aside
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._log = _Log(log, maxBytes=_LOG_BYTES, backupCount=1, delay=True)
        self._said: deque[str] = deque(maxlen=5)

    def start(self, limit_s: int = _START_S) -> None:
        """Start, and return when it listens, within so many seconds. Raises Problem with what it
        says.
        """
        ready = threading.Event()
        self._allow_files()
        self._process = subprocess.Popen(
            [*_with_us(), *self._program, "-c", str(self._conf)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=self._aside,
        )
        self._reader = threading.Thread(
            target=self._read, args=(self._process, ready), name="mosquitto", daemon=True
        )
        self._reader.start()
        ready.wait(limit_s)
        if not self.runs() or not ready.is_set():
            self.stop()
            raise Problem(f"mosquitto does not start: {' '.join(self._said)}", "See to that.")

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Its process id, since it was started last."""
        assert self._process
        return self._process.pid

    def restart(self) -> None:
        """Have it read its files again. Sessions, what waits in them, and retained Messages stay;
        connections do not. Raises Problem.
        """
        # By SIGHUP 2.0 loses what is for clients that are away: mosquitto's renderer.RELOAD.
        self.stop()
        self.start()

    def stop(self, limit_s: int = _STOP_S) -> None:
        """End it, by force after so many seconds: sessions and retained Messages are written by
        then. Twice does no harm.
        """
        if self._process is None:
            return
        # mosquitto 2.0 forgets a SIGTERM that comes right after it said that it runs.
        for _ in range(limit_s):
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                break
        self._process.kill()  # does nothing to one that has ended
        self._process.wait()
        if self._reader:
            self._reader.join(_STOP_S)

    def _allow_files(self) -> None:
        """Let what we start open as many files as it needs, as far as the system lets us."""
        with contextlib.suppress(OSError, ValueError):
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            most = self._open_files if hard == resource.RLIM_INFINITY else hard
            wanted = min(max(self._open_files, soft), most)
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))

    def _read(self, process: "subprocess.Popen[str]", ready: threading.Event) -> None:
        assert process.stderr
        for line in process.stderr:
            self._said.append(line.strip())
            if not self._aside:
                print(line, end="", file=sys.stderr, flush=True)
            self._log.emit(makeLogRecord({"msg": line.rstrip()}))
            if line.rstrip().endswith("running"):
                ready.set()
        ready.set()  # it has ended, and nobody waits for it


class _Log(RotatingFileHandler):
    """A copy of what mosquitto says, which a full disk does not hold up."""

    def handleError(self, record: LogRecord) -> None:
        """Leave that line out."""


def _with_us() -> list[str]:
    """Return the words before a program's that have it end with this process."""
    return [sys.executable, "-I", "-S", with_parent.__file__, str(os.getpid())]
