"""One lever: what it is called, what it may be set to, and how it is told to a page. Pure."""

from typing import Any, NamedTuple

from limpet.shared.plain import is_number, short, word
from limpet.shared.problem import Problem

SLIDER, SWITCH, BUTTON = "slider", "switch", "button"
SENSOR, FAULT = "sensor", "fault"

# A slider's number, or None: as captured; whether a switch is on; whether a button still works.
State = float | bool | None


class Range(NamedTuple):
    """What a slider may be set to, and the field of a Reading that it moves."""

    field: str
    unit: str
    least: float
    most: float
    step: float


class Lever(NamedTuple):
    """A lever. `name` is for programs (a-z, 0-9, _ and -), `label` and `help` are for people.
    `told` is what is said when it is switched on, and off again.
    """

    name: str
    kind: str
    group: str
    label: str
    help: str
    told: tuple[str, str] = ("", "")
    range: Range | None = None

    def begins(self) -> State:
        """Return its state when nobody has touched it."""
        return None if self.range else False

    def taken(self, value: Any) -> State:
        """Return what it is set to by any JSON value. Raises Problem for one that it cannot be."""
        if self.range:
            return self._number(self.range, value)
        if isinstance(value, bool) and (value or self.kind == SWITCH):
            return value
        wants = "true or false" if self.kind == SWITCH else "true, which presses it"
        raise Problem(f"{self.label}: {_shown(value)} is nothing to set it to.", f"Say {wants}.")

    def _number(self, range: Range, value: Any) -> float | None:
        if value is None:
            return None
        if not is_number(value) or not range.least <= value <= range.most:
            raise Problem(
                f"{self.label}: {_shown(value)} is nothing to set it to.",
                f"Say a number from {range.least:g} to {range.most:g} ({range.unit}), or null: as "
                "captured.",
            )
        return round(round(value / range.step) * range.step, 6)

    def change(self, state: State) -> str:
        """Return in a sentence that it is set to that now."""
        if not self.range:
            return self.told[0 if state else 1]
        wanted = "as captured" if state is None else f"{state:g} {self.range.unit}"
        return f"{self.label}: {wanted} from now on."

    def described(self, state: State) -> dict[str, Any]:
        """Return it as JSON has it, with its state: all members are always there."""
        range = self.range
        return {
            "name": self.name,
            "kind": self.kind,
            "group": self.group,
            "label": self.label,
            "help": self.help,
            "field": range.field if range else None,
            "min": range.least if range else None,
            "max": range.most if range else None,
            "step": range.step if range else None,
            "unit": range.unit if range else None,
            "value": state if range else None,
            "on": state is not None if range else state,
        }


def _shown(value: Any) -> str:
    return short(word(value), 40)
