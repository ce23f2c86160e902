"""Which parts of a diagram there are, and what is wired to what; for a diagram without faults
of form.
"""

from dataclasses import dataclass
from typing import Any

from limpet.simulator.wokwi_parts import PARTS


@dataclass(frozen=True)
class Wiring:
    """The parts of a diagram by id, and which ends (`part:pin`) are wired to one another."""

    types: dict[str, str]
    attrs: dict[str, dict[str, str]]
    nets: list[frozenset[str]]

    def of(self, *types: str) -> list[str]:
        """Return the ids of the parts of these types."""
        return [part for part, type_ in self.types.items() if type_ in types]

    def net(self, end: str) -> frozenset[str]:
        """Return all that is wired to an end, itself included."""
        return next((net for net in self.nets if end in net), frozenset({end}))

    def meets(self, end: str) -> set[str]:
        """Return what an end is wired to on a board: GND, 3V3, 5V, GPIO<n>."""
        found = set()
        for other in self.net(end):
            part, _, pin = other.partition(":")
            if part in self.types and PARTS[self.types[part]].chip:
                found.add(PARTS[self.types[part]].pins[pin])
        return found

    def through(self, end: str, ohm: tuple[int, int]) -> set[str]:
        """Return what an end meets behind a resistor of `ohm` (least and most)."""
        found: set[str] = set()
        for part in self.of("wokwi-resistor"):
            if ohm[0] <= float(self.attrs[part].get("value", 1000)) <= ohm[1]:
                for near, far in ((f"{part}:1", f"{part}:2"), (f"{part}:2", f"{part}:1")):
                    found |= self.meets(far) if near in self.net(end) else set()
        return found


def wiring(diagram: dict[str, Any]) -> Wiring:
    """Return the wiring of a diagram (parsed)."""
    nets: list[frozenset[str]] = []
    for one, other, *_ in diagram["connections"]:
        touched = [net for net in nets if {one, other} & net]
        nets = [net for net in nets if net not in touched]
        nets.append(frozenset({one, other}).union(*touched))
    parts = diagram["parts"]
    attrs = {part["id"]: part.get("attrs", {}) for part in parts}
    return Wiring({part["id"]: part["type"] for part in parts}, attrs, nets)
