"""What the broker says of itself, and what it is held to."""

from __future__ import annotations

import threading
from collections.abc import Callable

from limpet.brokers import capacity, written
from limpet.brokers.capacity import Limits
from limpet.doctor.figures import Numbers
from limpet.doctor.health import limits_of
from limpet.doctor.live import monitor, parsed
from limpet.doctor.live.monitor import Monitor
from limpet.heard.known import Known
from limpet.shared.problem import Problem

# Between two looks at a broker's page of figures: as Prometheus scrapes.
ASK_S = 15.0

Say = Callable[[str], None]


def limits(known: Known, kind: str) -> Limits:
    """Return what a broker of this kind is held to: as the fleet's files have it, else as they
    would for so many devices.
    """
    if known.fleet:
        try:
            return limits_of(known.fleet, kind)
        except (OSError, Problem):
            pass
    services = max(1 + len(known.registry.consumers), 2)
    return capacity.limits(written.size(len(known.refresh())), services)


class Figures:
    """What the broker says of itself: below `$SYS`, else on its page of figures, where it has one.

    url: of that page; None: where the fleet's broker files have it, asked as long as there is
    nothing below `$SYS`. Raises Problem for an address that is none.
    """

    def __init__(self, known: Known, url: str | None, say: Say) -> None:
        self._said: dict[str, bytes] = {}
        self._lock = threading.Lock()
        self._say = say
        self._told = ""
        self._page = Monitor(url) if url else None
        if self._page is None and known.fleet:
            self._page = monitor.of_fleet(known.fleet)
        self._by_page = Numbers()
        self._forced = url is not None
        self._ended = threading.Event()

    @property
    def kind(self) -> str:
        """Which broker it is, by what it said."""
        return self._page.kind if self._page and self._page.kind else "mosquitto"

    def take(self, topic: str, payload: bytes) -> None:
        """Note what was said below `$SYS`."""
        if topic in parsed.WANTED and len(payload) < 100:
            with self._lock:
                self._said[topic] = payload

    def gone(self) -> None:
        """The broker is away, or another one: what it said is of before."""
        with self._lock:
            self._said.clear()

    def numbers(self) -> Numbers:
        """Return what it has last said."""
        with self._lock:
            by_mqtt = parsed.of_sys(self._said)
            return self._by_page if self._forced or not by_mqtt.said() else by_mqtt

    def start(self) -> None:
        """Ask the page, if there is one, from now on."""
        if self._page:
            threading.Thread(target=self._ask, name="figures", daemon=True).start()

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()

    def _ask(self) -> None:
        assert self._page
        while not self._ended.is_set():
            found, why = Numbers(), ""
            try:
                found = self._page.numbers()
            except Problem as problem:
                why = str(problem)
            with self._lock:
                self._by_page = found
            if why != self._told:
                self._told = why
                self._say(why or f"the broker's figures are at {self._page.url}")
            self._ended.wait(ASK_S)
