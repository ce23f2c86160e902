"""Who is in the registry, and until when their certificates are good."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from limpet.identity.layout import Layout
from limpet.identity.registry import Registry
from limpet.shared.problem import Problem

Say = Callable[[str], None]


class Known:
    """The registry, as its file says now. Where it cannot be read that of before counts, and
    `fault` says why.

    fleet: whose; registry: that file, a copy of a fleet's broker/devices.json. One of them
    has to be given. Raises Problem where it is not there.
    """

    def __init__(self, fleet: Path | None, registry: Path | None, say: Say) -> None:
        self.fleet = Layout(fleet) if fleet else None
        if registry:
            self._layout = Layout(registry.parent)
            self._layout.registry = registry
        else:
            assert fleet
            self._layout = Layout(fleet)
        if not self._layout.registry.exists():
            raise Problem(
                f"There is no {self._layout.registry}, which says what devices there are.",
                "Run `limpet provision`, or give --registry, a copy of a fleet's "
                "broker/devices.json.",
            )
        self._say = say
        self.fault = ""
        self.registry: Registry = self._layout.registered()

    @property
    def layout(self) -> Layout:
        """Whose bases count."""
        return self._layout

    def refresh(self) -> dict[str, str]:
        """Read the registry anew if it has changed; return base topics by device id."""
        try:
            if not self._layout.registry.exists():
                raise Problem(f"{self._layout.registry} is gone.", "Restore it.")
            self.registry = self._layout.registered()
            self.fault = ""
        except (OSError, Problem) as problem:
            if str(problem) != self.fault:
                self.fault = str(problem)
                self._say(f"{problem} The devices of before still count.")
        devices = self.registry.devices
        return {name: each.base for name, each in devices.items() if each.revoked is None}

    def ends(self, certificates: dict[str, str]) -> float | None:
        """Return until when the latest of these is good, Unix seconds; None where there is none."""
        times = [datetime.fromisoformat(each).timestamp() for each in certificates.values()]
        return max(times, default=None)
