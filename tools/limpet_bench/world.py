"""What the node is measured against: a broker, and flash images provisioned for it.

Nothing in it is kept.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from limpet.brokers.mosquitto.program import mosquitto
from limpet.brokers.setup import open_setup
from limpet.brokers.written import write_mosquitto
from limpet.identity import device_config
from limpet.identity.provisioning import Setup
from limpet.shared import private
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

HOST = "127.0.0.1"
# An ESP32 speaks no other version by default, and a record has another size in TLS 1.3.
OPENSSL = """\
openssl_conf = all
[all]
ssl_conf = ssl
[ssl]
system_default = limits
[limits]
MaxProtocol = TLSv1.2
"""
# A broker that forgets SIGTERM, as one does that has only just started, is ended otherwise.
END_S = 5

_numbers = itertools.count(1)


class Restarted(Protocol):
    """What a broker has to be able to do."""

    port: int

    def start(self) -> None:
        """Listen on the port of last time, or on a free one."""

    def stop(self) -> None:
        """Stop listening, and close all connections."""

    def reload(self) -> None:
        """Have it read anew who is who, if it does not do so by itself."""


class World:
    """A set-up with its broker; `folder` is for what is measured.

    broker: whatever can be stopped and started; its `port` stays.
    """

    def __init__(self, setup: Setup, broker: Restarted, folder: Path) -> None:
        self.setup = setup
        self.broker = broker
        self.folder = folder

    @property
    def port(self) -> int:
        """Where the broker listens."""
        return self.broker.port

    def flash(self, port: int | None = None, **config: Any) -> Path:
        """Return the flash of a device that nobody has seen before, told to use `port`.

        config: fields that differ from the defaults. No health, a window of 16: what is measured is
        the Readings.
        """
        device_id = f"n-{next(_numbers):04}"  # topics of the same length, that of node-1's
        fields = {
            "device_id": device_id,
            "org": "limpet",
            "site": "home",
            "zone": "desk",
            "device_type": "climate",
            "broker": HOST,
            "port": port or self.port,
            "window": 16,
            "health_s": 0,
            **config,
        }
        self.setup.device(fields)
        self.broker.reload()
        flash = self.folder / device_id
        shutil.copytree(self.setup.layout.device(device_id), flash)
        return flash

    def change(self, flash: Path, **config: Any) -> None:
        """Change the config on a flash."""
        device_config.write(flash, device_config.read(flash) | config)


class Mosquitto:
    """mosquitto for a set-up, TLS 1.2, client certificates required. `port` stays over restarts."""

    def __init__(self, setup: Setup) -> None:
        self._layout = setup.layout
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> None:
        """Start, and return as soon as it says that it runs. Raises Problem with what it says."""
        said = ""
        # Its ports are numbers in a file: what is free now may be taken in a moment.
        for _ in range(1 if self.port else 3):
            port = self.port or _free_port()
            conf = write_mosquitto(self._layout, HOST, port)
            openssl = conf.with_name("openssl.cnf")
            openssl.write_text(OPENSSL)
            with open(conf, "a") as file:
                file.write("\nlog_dest stderr\n")
            self._process = subprocess.Popen(
                [*mosquitto(), "-c", str(conf)],
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "OPENSSL_CONF": str(openssl)},
                start_new_session=True,
            )
            assert self._process.stderr
            for line in self._process.stderr:
                said = line.strip()
                if said.endswith("running"):
                    self.port = port
                    # A pipe that nobody reads would stop it once it is full.
                    threading.Thread(target=self._process.stderr.read, daemon=True).start()
                    return
            self._process.wait(END_S)
        raise Problem(f"mosquitto does not start: {said}.", "See to it: the bench needs one.")

    def reload(self) -> None:
        """Have it read its ACL anew; it obeys before it looks at the next packet."""
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it as a service manager does; what it knows is on disk."""
        process, self._process = self._process, None
        if process is None:
            return
        for _ in range(END_S * 5):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
                break
        process.kill()
        process.wait(END_S)


@contextlib.contextmanager
def world() -> Iterator[World]:
    """A set-up of its own with its broker, gone with all its keys when the block ends."""
    parent = private.folder(CACHE / "bench")
    with tempfile.TemporaryDirectory(prefix="world-", dir=parent) as scratch:
        setup = open_setup(Path(scratch) / "dev")
        broker = Mosquitto(setup)
        made = World(setup, broker, Path(scratch))
        made.flash(1)  # the first device: what may be said below its organisation is then known
        try:
            broker.start()
            yield made
        finally:
            broker.stop()


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as free:
        return int(free.getsockname()[1])
