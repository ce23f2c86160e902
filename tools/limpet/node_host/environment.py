"""The environment variables by which the interpreter finds a node's files, and the laptop's Board
its capture, its clock's speed and what stands for its flash.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from limpet.shared.paths import CAPTURES

REPLAY = CAPTURES / "am2302_1mhz_200s.jsonl"


def environment(
    path: Iterable[Path],
    rom: Path | None = None,
    replay: Path = REPLAY,
    speed: float = 1.0,
    sensors: str = "",
    levers: Path | None = None,
) -> dict[str, str]:
    """Return this process's own variables, and those of a node whose modules lie on `path`.

    rom: image of byte code that the Board mounts, see bytecode.py. replay: the capture that the
    DHT22 plays. speed: how much faster than real time the clock runs. sensors: LIMPET_SENSORS,
    empty for a DHT22 alone. levers: the file that says what somebody wants of the sensors meanwhile
    (boards/host/levers.py).
    """
    return {
        **os.environ,
        "MICROPYPATH": ":".join([*map(str, path), ".frozen"]),
        "LIMPET_REPLAY": str(replay.absolute()),
        "LIMPET_SPEED": f"{speed:g}",
        "LIMPET_ROM": str(rom or ""),
        "LIMPET_SENSORS": sensors,
        "LIMPET_LEVERS": str(levers.absolute()) if levers else "",
    }
