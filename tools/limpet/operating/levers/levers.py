"""All the levers of a running demo, for whoever shows them: what there is, how it is set now, and
what happens.
"""

import re
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from limpet.operating.levers.lever import BUTTON, Lever, State
from limpet.shared.plain import safe, short
from limpet.shared.problem import Problem, there_is

_BOOT = re.compile(r"\d+\.\d{3} node boot=(\d+) .*reset=(\S+)")


class NoLever(Problem):
    """There is no lever of that name."""


class Pulled(NamedTuple):
    """A lever, and what it does: `act` is called with what it is set to, and raises Problem where
    that cannot be. It may take seconds.
    """

    lever: Lever
    act: Callable[[State], None]


class Levers:
    """Levers that any thread may ask and pull; one pull is carried out at a time."""

    def __init__(self, pulled: Iterable[Pulled]) -> None:
        self._pulled = {each.lever.name: each for each in pulled}
        self._states = {name: each.lever.begins() for name, each in self._pulled.items()}
        self._acting = threading.Lock()
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[str], None]] = []

    def describe(self) -> list[dict[str, Any]]:
        """Return all levers as they are now, for JSON: name, kind ("slider", "switch", "button"),
        group ("sensor", "fault"), label, help; of a slider field, min, max, step, unit and value,
        None for as captured; and on. What a kind has not is None.

        A button is on while what it did goes on. Never waits for a lever that is being pulled.
        """
        with self._lock:
            states = dict(self._states)
        return [each.lever.described(states[name]) for name, each in self._pulled.items()]

    def set(self, name: str, value: Any) -> list[dict[str, Any]]:
        """Set a lever to any JSON value; return what `describe` does then. What it is set to
        already changes nothing.

        Raises NoLever; Problem for a value that is none for it, or where it cannot be done: then it
        stays as it was. May take some seconds, as a broker has to stop and start.
        """
        found = self._pulled.get(name)
        if found is None:
            names = list(self._pulled)
            raise NoLever(f"There is no lever {safe(short(name, 40))!r}.", there_is(names, name))
        state = found.lever.taken(value)
        with self._acting:
            # Before it acts: what a button does may be over at once.
            before = self._put(name, state)
            if before != state:
                try:
                    found.act(state)
                except BaseException:
                    self._put(name, before)
                    raise
        if before != state:
            self._tell(found.lever.change(state))
        return self.describe()

    def on_change(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Have `callback` called after each change, and when something happened by itself, with a
        sentence that says what. On any thread; it has to return at once. Return what ends that.
        """
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    def node_said(self, line: str) -> None:
        """Take a line of the node's log: a boot ends what a button did."""
        boot = _BOOT.match(line)
        if boot is None:
            return
        with self._lock:
            for name, each in self._pulled.items():
                if each.lever.kind == BUTTON:
                    self._states[name] = False
        self._tell(f"The node boots: boot {boot[1]}, {safe(short(boot[2], 24))}.")

    def _put(self, name: str, state: State) -> State:
        with self._lock:
            before, self._states[name] = self._states[name], state
        return before

    def _tell(self, text: str) -> None:
        with self._lock:
            callbacks = list(self._callbacks)
        for each in callbacks:
            each(text)
