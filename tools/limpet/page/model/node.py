"""What the page keeps of one device beside what `heard/` does: its newest Readings and events, and
its settings.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Any

from limpet.page.model.series import Series

EVENTS = 200
ACTIONS = 32
MAX_WORD = 64


class Node:
    """Of one device. series: its Readings; health: those numbers of it that have a trend. events:
    the newest, as the browser gets them; reported, desired, update: as it was said last, None where
    it never was. actions: what the newest Commands asked for, by id. trouble: what it had at the
    last look.
    """

    def __init__(self) -> None:
        self.series = Series()
        self.health = Series()
        self.events: deque[dict[str, Any]] = deque(maxlen=EVENTS)
        self.reported: dict[str, Any] | None = None
        self.desired: dict[str, Any] | None = None
        self.update: dict[str, Any] | None = None
        self.actions: OrderedDict[str, str] = OrderedDict()
        self.trouble = ""

    def asked(self, command: dict[str, Any]) -> None:
        """Note what a Command asks for, until its Response names it."""
        found, action = command.get("id"), command.get("action")
        if isinstance(found, str) and isinstance(action, str):
            self.actions[found[:MAX_WORD]] = action[:MAX_WORD]
            if len(self.actions) > ACTIONS:
                self.actions.popitem(last=False)
