"""The broker of `limpet broker` where others reach it: mosquitto, with the configuration that
`limpet broker-config mosquitto` writes, in a folder of its own beside that.

While it runs it follows the registry: it starts anew at each change, so that new devices are known
and revoked ones thrown out within seconds. All others come back at once, to the sessions they had.
"""

import socket
import sys
import threading
from pathlib import Path

from limpet.brokers import written
from limpet.brokers.mosquitto.process import Process
from limpet.brokers.mosquitto.renderer import CONF
from limpet.brokers.plan import Plan
from limpet.brokers.written import Written
from limpet.identity.layout import Layout
from limpet.shared import private
from limpet.shared.problem import Problem

FOLDER = "here"
# What mosquitto says there, for `limpet doctor --follow`.
LOG = "mosquitto.log"
_LOOK_S = 0.5


def own_folder(layout: Layout) -> Path:
    """Return where its files lie."""
    return layout.broker / FOLDER


class OnNetwork:
    """mosquitto for the set-up of `layout` on the address `listen`, '' for all, and `port` (0: any
    that is free).
    """

    def __init__(self, layout: Layout, listen: str, port: int) -> None:
        self._layout = layout
        self.listen = listen
        self.port = port or _free_port(listen)
        self._process: Process | None = None
        self._seen: tuple[object, ...] = ()
        self._said = ""

    def start(self) -> None:
        """Write its files, and start it. Raises Problem."""
        _refuse_taken(self.listen, self.port)
        plan = self._put()
        self._seen = self._state()
        self._process = Process(plan.folder / CONF, plan.limits.open_files, plan.folder / LOG)
        self._process.start()

    def follow(self, stopping: threading.Event) -> None:
        """Until `stopping` is set, have it go by the registry of now. Raises Problem when it ends
        by itself.
        """
        assert self._process
        while not stopping.wait(_LOOK_S):
            if not self._process.runs():
                raise Problem("mosquitto has ended by itself.", "Its last words are above.")
            try:
                now = self._state()
                if now == self._seen:
                    continue
                self._put()
            except (OSError, Problem) as error:
                self._say(error)  # a registry that is none just now, or a disk that is full
                continue
            self._seen, self._said = now, ""
            self._process.restart()

    def stop(self) -> None:
        """End it."""
        if self._process:
            self._process.stop()

    def _say(self, error: OSError | Problem) -> None:
        """Say once why it goes on by what it has read before."""
        why = error.cause if isinstance(error, Problem) else str(error)
        if why != self._said:
            self._said = why
            print(f"limpet: It goes on by the registry of before: {why}", file=sys.stderr)

    def _put(self) -> Plan:
        layout = self._layout
        folder = private.folder(own_folder(layout))
        size = written.size(len(layout.bases()))
        plan = written.plan_by(
            layout, Written("mosquitto", str(folder), self.listen, self.port, size)
        )
        written.put(layout, "mosquitto", plan)
        return plan

    def _state(self) -> tuple[object, ...]:
        """Return what it goes by."""
        layout = self._layout
        dates = [_date(path) for path in (layout.server_certificate, layout.passwords)]
        return (_date(layout.crl), layout.bases(), layout.consumers(), *dates)


def _date(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _free_port(listen: str) -> int:
    with _listener(listen, 0) as found:
        return int(found.getsockname()[1])


def _refuse_taken(listen: str, port: int) -> None:
    """Raise the OSError of the system where nobody could listen there: mosquitto's says less."""
    _listener(listen, port).close()


def _listener(listen: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen else socket.AF_INET
    return socket.create_server((listen, port), family=family)
