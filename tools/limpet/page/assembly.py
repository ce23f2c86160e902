"""Model, broker and server together: of `limpet page`, and beside the node in `limpet run`."""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from limpet.heard.known import Known
from limpet.ingest.asked import Address
from limpet.ingest.places import Place
from limpet.operating.levers.levers import Levers
from limpet.page import commanding
from limpet.page.history import History
from limpet.page.listening import Listening
from limpet.page.model.model import MEMORY_S, Model
from limpet.page.serving.application import Application
from limpet.page.serving.guard import Access
from limpet.page.serving.hub import Hub
from limpet.page.serving.server import Server, listening
from limpet.shared.firmware import version
from limpet.shared.problem import Problem
from limpet.shared.seen_readings import UNITS

Say = Callable[[str], None]


@dataclass(frozen=True)
class Broker:
    """Which one, as whom, and what is asked for there."""

    address: Address
    filters: tuple[str, ...]


class Page:
    """The page, served on `listener` while the block runs.

    name: what the fleet is called. store: where its Readings are kept, None where they are not.
    tls: certificate and key, None for plain HTTP. levers, scene: what may be done to a node that
    runs on this machine, and how that one is. ttl_s: how long a Command counts, 0 for ever. url:
    where it is, on this machine.
    """

    def __init__(
        self,
        name: str,
        known: Known,
        broker: Broker,
        access: Access,
        listener: socket.socket,
        say: Say,
        *,
        store: Place | None = None,
        levers: Levers | None = None,
        scene: Callable[[], dict[str, Any]] | None = None,
        tls: tuple[str, str] | None = None,
        ttl_s: int = commanding.TTL_S,
    ) -> None:
        self._name = name
        self._access = access
        self._levers = levers
        self._scene = scene
        self._actions = commanding.actions()
        self._requests = commanding.Requests()
        self.model = Model(known, time.time(), self._requests.heard)
        self._history = History(self.model, store)
        self._listening = Listening(broker.address, broker.filters, self.model, say)
        self.hub = Hub(self.model, self._requests, self._hello, self._beside)
        application = Application(
            self.model,
            access,
            self.hub,
            self._requests,
            self._listening.publish,
            levers,
            self._history,
            ttl_s,
        )
        self._server = Server(application.asgi, listener, tls)
        application.on_error = self._server.end_by
        self._stack = contextlib.ExitStack()
        host, port = listener.getsockname()[:2]
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self.url = f"{'https' if tls else 'http'}://{at}/"

    def __enter__(self) -> Page:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._server)
            stack.enter_context(self._listening)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def settled(self) -> bool:
        """Whether there is a connection to the broker, or it was said that there is none."""
        return self._listening.settled

    def _beside(self) -> dict[str, Any]:
        """Return what there is beside the fleet, by the kind of its frame."""
        levers = self._levers.describe() if self._levers and self._access.operate else None
        return {"levers": levers, "scene": self._scene() if self._scene else None}

    def _hello(self) -> dict[str, Any]:
        return {
            "fleet": self._name,
            "version": version.VERSION,
            "rights": "operate" if self._access.operate else "read",
            "store": self._history.stored,
            "memory_s": MEMORY_S,
            **self._beside(),
            "actions": self._actions if self._access.operate else [],
            "units": UNITS,
            "broker": self.model.broker(),
        }


def listener(host: str, port: int, *, any_free: bool = False) -> tuple[socket.socket, bool]:
    """Return a socket that listens there, and whether it is the port that was wanted. any_free:
    another one where that is taken. Raises Problem.
    """
    at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return listening(host, port), True
    except (OSError, UnicodeError, OverflowError) as error:
        if any_free and isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return listening(host, 0), False
        why = getattr(error, "strerror", None) or error
        raise Problem(
            f"{at} cannot be listened on: {why}.", "Say another one: --listen HOST:PORT."
        ) from None
