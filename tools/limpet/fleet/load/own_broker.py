"""The broker that a load run starts for itself: mosquitto on loopback, by the files that `limpet
broker-config mosquitto` writes, with nothing in it of the run before.
"""

import shutil
import socket
from pathlib import Path

from limpet.brokers import written
from limpet.brokers.mosquitto.process import Process
from limpet.brokers.mosquitto.program import mosquitto
from limpet.brokers.mosquitto.renderer import CONF
from limpet.brokers.on_network import LOG
from limpet.brokers.written import Written
from limpet.fleet.load import machine
from limpet.identity.layout import Layout
from limpet.shared import private

HOST = "127.0.0.1"
_FOLDER = "load"
# To write the sessions of thousands, or to read them, on a machine that has other work.
_PATIENT_S = 180


class OwnBroker:
    """mosquitto for the devices of `layout`, sized for so many of them; what it says is in the file
    `log`.
    """

    def __init__(self, layout: Layout, nodes: int) -> None:
        folder = layout.broker / _FOLDER
        if folder.exists():
            shutil.rmtree(folder)
        private.folder(folder)
        with socket.create_server((HOST, 0)) as free:
            self.port = int(free.getsockname()[1])
        noted = Written("mosquitto", str(folder), HOST, self.port, written.size(nodes))
        self._plan = written.plan_by(layout, noted)
        self.open_files = self._plan.limits.open_files
        self.log = folder / LOG
        self._layout = layout
        self._process: Process | None = None

    def start(self) -> None:
        """Start it. Raises Problem."""
        written.put(self._layout, "mosquitto", self._plan)
        conf: Path = self._plan.folder / CONF
        self._process = Process(conf, self.open_files, self.log, aside=True)
        self._process.start()

    def end(self) -> None:
        """Have it end as for a restart: what it keeps is on the disk then. May take seconds."""
        if self._process:
            self._process.stop(_PATIENT_S)

    def go_on(self) -> None:
        """Start it again after `end`. Raises Problem."""
        assert self._process
        self._process.start(_PATIENT_S)

    def stop(self) -> None:
        """End it for good."""
        if self._process:
            self._process.stop()
        self._process = None

    @property
    def pid(self) -> int | None:
        """Its process."""
        return self._process.pid if self._process else None

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process is not None and self._process.runs()

    @staticmethod
    def version() -> str:
        """Which mosquitto it is."""
        return machine.version(mosquitto())
