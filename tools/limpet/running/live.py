"""What `limpet run` does while the node runs: news in, Events out to the view, until told to stop.

It holds the loop, and decides when it ends.
"""

import signal
import time
from collections.abc import Callable
from threading import Thread
from typing import Any, NamedTuple

from limpet.node_host.process import NodeProcess
from limpet.operating.inbox import Inbox
from limpet.operating.operator_client import Arrival
from limpet.running.scene import Event, Scene
from limpet.running.view import LiveView, PlainView
from limpet.shared import ending

# How often the view looks for news and for Ctrl-C.
TICK_S = 0.25
# Log and Messages come on two ways: what is this close in time is sorted before it is shown.
TOGETHER_S = 0.02
NEWS = 100
# After the node has ended: for its goodbye to come through the broker.
GOODBYE_S = 2.0


class LogLine(NamedTuple):
    """A line of the node's log, `at` seconds on `time.monotonic`'s clock."""

    text: str
    at: float


class Stop:
    """Ctrl-C, SIGTERM, a closed terminal, as a flag. A second one changes nothing."""

    def __init__(self) -> None:
        self.asked = False

    def __enter__(self) -> "Stop":
        self._before = {
            s: signal.signal(s, self._ask) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True


class Run:
    """What happens between start and end: news from node and subscriber go to the view."""

    def __init__(
        self, scene: Scene, view: PlainView | LiveView, inbox: Inbox[Any], stop: Stop
    ) -> None:
        self.scene = scene
        self.view = view
        self.inbox = inbox
        self.stop = stop
        self.started = time.monotonic()

    def pump(self, until: Callable[[], bool]) -> None:
        """Show what happens until `until()`; asked after every piece of news and every tick."""
        while not until():
            self._show(TICK_S)

    def _show(self, timeout_s: float) -> bool:
        """Show what comes within `timeout_s`, and right after it; False when nothing came."""
        news: list[LogLine | Arrival | str] = []
        while (item := self.inbox.get(timeout_s)) is not None and len(news) < NEWS:
            news.append(item)
            timeout_s = TOGETHER_S
        # The log first: when a Reading was taken has to be known when it arrives.
        news.sort(key=lambda item: not isinstance(item, LogLine))
        self._draw([event for item in news for event in self._events(item)])
        return bool(news)

    def _events(self, item: LogLine | Arrival | str) -> list[Event]:
        if isinstance(item, LogLine):
            return self.scene.on_log(item.text, item.at)
        if isinstance(item, Arrival):
            return self.scene.on_message(item)
        return [Event("broker", item, "bad")]

    def _draw(self, events: list[Event]) -> None:
        for event in events:
            self.view.event(event)
        self.view.refresh(self.scene, time.monotonic() - self.started)
        if ending.lost():
            self.stop.asked = True  # nobody is left to be told

    def end(self, node: NodeProcess) -> None:
        """Ask the node to end and show how it goes, goodbye included."""
        stopping = Thread(target=node.stop, name="stopping", daemon=True)
        stopping.start()
        self.pump(lambda: not stopping.is_alive())
        limit = time.monotonic() + GOODBYE_S
        self.pump(lambda: self.scene.status == "offline" or time.monotonic() > limit)
        while self._show(0):
            pass
