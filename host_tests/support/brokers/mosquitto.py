"""mosquitto, run for a test."""

from __future__ import annotations

import contextlib
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from limpet.brokers import written
from limpet.brokers.embedded.broker import LOOPBACK
from limpet.brokers.mosquitto import renderer
from limpet.brokers.plan import Plan
from limpet.identity.provisioning import Setup
from support.brokers.mqtt_client import TIMEOUT_S
from support.brokers.running import RunningBroker


class Mosquitto(RunningBroker):
    """mosquitto, configured by `limpet broker-config mosquitto`."""

    kind = "mosquitto"
    more = ""  # configuration

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._process: subprocess.Popen[str] | None = None
        self._drain: threading.Thread | None = None
        self._conf = Path()
        self.log: list[str] = []
        shutil.rmtree(setup.layout.broker / "mosquitto", ignore_errors=True)

    def start(self) -> None:
        """Start and wait until it says that it runs."""
        # Its ports are numbers in a file: what is free now may be taken in a moment, hence three
        # tries.
        tries = 1 if self.port else 3
        self._held.release()
        for _ in range(tries):
            if not self.port:
                self.port, self.plain_port = _free_ports()
                self.login_port = renderer.login_port(self.port)
            if self._started():
                return
            if tries > 1:
                self.port = 0
        raise RuntimeError("mosquitto does not start:\n" + "\n".join(self.log))

    def by(self, plan: Plan) -> None:
        """Start by the files of a plan, and nothing else."""
        written.put(self.setup.layout, self.kind, plan)
        self.port = plan.port
        if not self._runs(plan.folder / renderer.CONF):
            raise RuntimeError("mosquitto does not start:\n" + "\n".join(self.log))

    def _started(self) -> bool:
        conf = written.write_mosquitto(self.setup.layout, self.host, self.port)
        with open(conf, "a") as file:
            file.write(f"\nlistener {self.plain_port} {self.host}\n{self.more}")
        return self._runs(conf)

    def _runs(self, conf: Path) -> bool:
        from limpet.brokers.mosquitto.program import mosquitto

        self._conf = conf
        # Python ignores SIGXFSZ, and so shall mosquitto: a full disk is an error, no signal.
        self._process = subprocess.Popen(
            [*mosquitto(), "-v", "-c", str(conf)],
            stderr=subprocess.PIPE,
            text=True,
            restore_signals=False,
        )
        assert self._process.stderr
        for line in self._process.stderr:
            self.log.append(line.rstrip())
            if line.rstrip().endswith("running"):
                self._drain = threading.Thread(target=self.log.extend, args=(self._process.stderr,))
                self._drain.start()
                return True
        self._process.wait()
        return False

    @property
    def pid(self) -> int:
        """The process that runs."""
        assert self._process
        return self._process.pid

    def stop(self) -> None:
        """Stop it with SIGTERM; sessions and retained Messages are kept on disk."""
        if self._process and self._drain:
            self._terminate(self._process)
            self._drain.join()
            self._held.hold(self.port, self.plain_port, self.login_port)
        self._process = None

    def crash(self) -> None:
        """SIGKILL: what it has said since it last wrote its file is forgotten."""
        if self._process:
            self._process.kill()
        self.stop()

    def fill_disk(self) -> None:
        """The kernel lets it write no byte to any file (setrlimit(2), RLIMIT_FSIZE)."""
        self._limit_files(0)
        if self._process:
            self._process.send_signal(signal.SIGUSR1)  # write what is in memory now

    def empty_disk(self) -> None:
        """The disk takes everything again."""
        self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        if self._process:
            limits = size, resource.RLIM_INFINITY
            resource.prlimit(self._process.pid, resource.RLIMIT_FSIZE, limits)

    def reload(self) -> None:
        """Start it anew by its files as they are, as everybody has to: connections end; sessions
        and retained Messages stay. By SIGHUP it would lose what is for clients that are away.
        """
        if self._process and self._drain:
            self.stop()
            self._held.release()
            if not self._runs(self._conf):
                raise RuntimeError("mosquitto does not start:\n" + "\n".join(self.log))

    def _terminate(self, process: subprocess.Popen[str]) -> None:
        # mosquitto 2.0 forgets a SIGTERM that comes right after it said that it runs.
        deadline = time.monotonic() + TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        process.kill()  # does nothing to one that ended
        process.wait()


def _free_ports() -> tuple[int, int]:
    """Return a port whose successor is free too, and a third one."""
    while True:
        with (
            socket.create_server((LOOPBACK, 0)) as first,
            socket.create_server((LOOPBACK, 0)) as third,
        ):
            port = int(first.getsockname()[1])
            try:
                socket.create_server((LOOPBACK, renderer.login_port(port))).close()
            except OSError:
                continue
            return port, int(third.getsockname()[1])
