"""What of the fleet is shown, in which order, and from where on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from limpet.heard.fleet import STATES, Fleet, Heard
from limpet.heard.trouble import BAD, by_name, rank
from limpet.top.rows import SIGNS, place

SORTS = ("trouble", "name", "place", "seen", "queue")
SHOWS = ("all", "trouble", *STATES)
MAX_SEARCH = 64
HELP = (
    ("j k  down up", "one line"),
    ("PgDn PgUp  space b", "one page"),
    ("g G  Home End", "first, last"),
    ("/", "search in names, places, states, alerts; Enter keeps it, Esc forgets it"),
    ("s", "sort by " + ", ".join(SORTS)),
    ("f", "show " + ", ".join(SHOWS)),
    ("q  Ctrl-C", "end"),
    ("?", "this; any key takes it away"),
)
_MOVES = {"j": 1, "down": 1, "k": -1, "up": -1}
_PAGES = {"pgdn": 1, " ": 1, "pgup": -1, "b": -1}


@dataclass
class View:
    """How a person looks at the fleet. sort: one of SORTS; show: one of SHOWS; search: what a row
    has to have; typing: whether that is being typed; top: how many rows are above; help: whether
    the keys are explained; ended: whether there is to be an end.
    """

    sort: str = "trouble"
    show: str = "all"
    search: str = ""
    typing: bool = False
    top: int = 0
    help: bool = False
    ended: bool = False

    def press(self, key: str, page: int) -> None:
        """Do what a key asks for. page: how many rows are in view."""
        if self.typing:
            self._type(key)
        elif self.help:
            self.help = False
        elif key == "q":
            self.ended = True
        elif key == "?":
            self.help = True
        elif key == "/":
            self.typing, self.search, self.top = True, "", 0
        elif key == "esc":
            self.search = ""
        elif key == "s":
            self.sort, self.top = _next(SORTS, self.sort), 0
        elif key == "f":
            self.show, self.top = _next(SHOWS, self.show), 0
        else:
            self._move(key, page)

    def _type(self, key: str) -> None:
        if key in ("enter", "esc"):
            self.typing = False
            if key == "esc":
                self.search = ""
        elif key == "backspace":
            self.search = self.search[:-1]
        elif len(key) == 1 and len(self.search) < MAX_SEARCH:
            self.search += key
        self.top = 0

    def _move(self, key: str, page: int) -> None:
        if key in ("g", "home"):
            self.top = 0
        elif key in ("G", "end"):
            self.top = 1 << 30  # `within` knows where that is
        else:
            self.top += _MOVES.get(key, 0) + _PAGES.get(key, 0) * max(page - 1, 1)
        self.top = max(self.top, 0)

    def within(self, count: int, page: int) -> None:
        """Go no further than to where the last of `count` rows is in view."""
        self.top = min(self.top, max(count - page, 0))


def _next(names: tuple[str, ...], name: str) -> str:
    return names[(names.index(name) + 1) % len(names)]


def chosen(fleet: Fleet, bases: dict[str, str], view: View, now: float) -> list[str]:
    """Return the devices that are shown, in their order. now: Unix seconds."""
    ranked = {name: rank(heard, now) for name, heard in fleet.devices.items()}
    wanted = view.search.casefold()
    found = [
        name
        for name, heard in fleet.devices.items()
        if _shown(heard, ranked[name], view.show, now)
        and (not wanted or wanted in _words(name, bases.get(name, ""), heard, now))
    ]
    found.sort(key=by_name)
    by: dict[str, Callable[[str], object]] = {
        "trouble": lambda name: ranked[name],
        "place": lambda name: bases.get(name, ""),
        "seen": lambda name: fleet.devices[name].seen,
        "queue": lambda name: -fleet.devices[name].health.get("queued", -1.0),
    }
    if view.sort in by:
        found.sort(key=by[view.sort])  # type: ignore[arg-type]
    return found


def _shown(heard: Heard, rank: int, show: str, now: float) -> bool:
    if show == "trouble":
        return rank < BAD
    return show == "all" or heard.state(now) == show


def _words(name: str, base: str, heard: Heard, now: float) -> str:
    words = (name, place(base), heard.state(now), heard.reason, *heard.alerts)
    return " ".join(words).casefold()


def counts(fleet: Fleet, now: float) -> list[tuple[str, int]]:
    """Return how many are how, by state, the worst first; then `alerts`, how many have some."""
    found = Counter(heard.state(now) for heard in fleet.devices.values())
    alerts = sum(bool(heard.alerts) for heard in fleet.devices.values())
    return [(each, found[each]) for each in STATES if found[each]] + [("alerts", alerts)]


def counted(fleet: Fleet, now: float) -> str:
    """Return that in words: `! 1 silent  + 6 online  2 with alerts`."""
    parts = [
        f"{SIGNS[name]} {count:,} {name}" if name in SIGNS else f"{count:,} with alerts"
        for name, count in counts(fleet, now)
        if count
    ]
    return "  ".join(parts)
