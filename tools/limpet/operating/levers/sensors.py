"""The levers of the simulated sensors, and the file by which the laptop's Board learns of them
(boards/host/levers.py).
"""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from limpet.boards.drivers import Driver
from limpet.operating.levers.lever import SENSOR, SLIDER, SWITCH, Lever, Range, State
from limpet.operating.levers.levers import Pulled
from limpet.shared.paths import HOST_BOARD
from limpet.shared.problem import Problem

# What the Board can put into an answer; and who has no checksum.
_MOVED = ("temperature", "humidity")
_UNCHECKED = ("supply",)
_STEP = 0.1


class Wanted:
    """What is wanted of the sensors, in the file `path`. Nothing, and no file, at first."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wanted: dict[str, dict[str, int | bool]] = {}
        self._written = 0

    def want(self, sensor: str, member: str, value: int | bool | None) -> None:
        """Want that of a sensor, or nothing any more: None. Raises Problem where it cannot be
        written; then it is as before.
        """
        before = self._wanted
        wanted = {name: dict(members) for name, members in before.items()}
        members = wanted.setdefault(sensor, {})
        members.pop(member, None)
        if value is not None:
            members[member] = value
        self._wanted = wanted
        try:
            self._write()
        except OSError as error:
            self._wanted = before
            raise Problem(
                f"What is wanted of the sensors cannot be written to {self.path}: "
                f"{error.strerror}.",
                "See to it.",
            ) from None

    def _write(self) -> None:
        draft = self.path.with_suffix(".new")
        draft.write_text(json.dumps({name: each for name, each in self._wanted.items() if each}))
        # The node tells files apart by size and time, of which it sees whole seconds: one a write.
        self._written += 1
        os.utime(draft, (self._written, self._written))
        os.replace(draft, self.path)


def levers(table: str, wanted: Wanted) -> Iterator[Pulled]:
    """The levers of each sensor on a table, given as LIMPET_SENSORS has it."""
    for each in table.split(","):
        yield from _of_sensor(each.partition("=")[0], wanted)


def _of_sensor(sensor: str, wanted: Wanted) -> Iterator[Pulled]:
    kind, _, name = sensor.partition(":")
    driver = Driver.of(HOST_BOARD, kind)
    assert driver, "a driver was found before"
    own, called = sensor.replace(":", "-"), f"{kind.upper()} {name}".strip()

    def switched(member: str) -> Callable[[State], None]:
        return lambda state: wanted.want(sensor, member, bool(state) or None)

    def moved(member: str, ten: int) -> Callable[[State], None]:
        return lambda state: wanted.want(
            sensor, member, None if state is None else round(state * ten)
        )

    for field in driver.fields:
        if field.name in _MOVED:
            ten = 10**field.decimals
            full = f"{name}_{field.name}" if name else field.name
            yield Pulled(
                Lever(
                    f"{own}-{field.name}",
                    SLIDER,
                    SENSOR,
                    full.replace("_", " ").capitalize(),
                    f"What the {called} measures from now on, in place of its capture. A jump is "
                    "measured twice before the node believes it.",
                    range=Range(full, field.unit, field.low / ten, field.high / ten, _STEP),
                ),
                moved(field.name, ten),
            )
    yield Pulled(
        Lever(
            f"{own}-unplugged",
            SWITCH,
            SENSOR,
            f"{called} unplugged",
            "It answers nobody: what it measures is null, and after five failures in a row there "
            "is an alert, until it answers again.",
            (f"The {called} is unplugged.", f"The {called} is plugged in again."),
        ),
        switched("unplugged"),
    )
    if kind not in _UNCHECKED:
        yield Pulled(
            Lever(
                f"{own}-bad_checksums",
                SWITCH,
                SENSOR,
                f"{called} with bad checksums",
                "Each of its answers is damaged on the wire: the node refuses and counts it "
                "(health), and asks once more.",
                (f"The {called}'s checksums are wrong.", f"The {called}'s checksums are right."),
            ),
            switched("bad_checksums"),
        )
