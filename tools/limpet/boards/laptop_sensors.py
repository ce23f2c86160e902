"""The sensors that stand on the laptop's table, as `--sensors` names them:

    dht22,ds18b20:outdoor              drivers; behind a colon the name
    dht22,ds18b20:outdoor=cold.jsonl   behind = the capture that it plays

What plays them, and gives each its pins, is boards/host/table.py.
"""

from collections.abc import Iterator
from pathlib import Path

from limpet.boards.board_sensors import NAME, WiredSensor, clashes
from limpet.shared.paths import CAPTURES, HOST_BOARD
from limpet.shared.problem import Problem

# By driver: what comes with the laptop for one that names no capture. boards/host/README.md says
# which of them was recorded, and which is made up.
PLAYED = {
    "dht11": "dht11_1mhz",
    "dht22": "am2302_1mhz_200s",
    "ds18b20": "ds18b20_made_up",
    "sht3x": "sht3x_made_up",
    "sht4x": "sht4x_made_up",
    "supply": "supply_made_up",
}
MOST_OF_A_KIND = 2  # as many pins as the table has of the rarest kind


def setting(text: str) -> str:
    """Return the variable LIMPET_SENSORS for what `--sensors` says, each with its capture, but for
    a DHT22 that names none: it plays LIMPET_REPLAY.

    Raises Problem: nobody plays such a sensor, a name or a capture is none, two fields have one
    name.
    """
    found = list(_each(text))
    for fault in clashes(HOST_BOARD, [sensor for sensor, _ in found], None):
        raise Problem(f"--sensors {text}: {fault}", "Give it: DRIVER:NAME.")
    return ",".join(
        f"{sensor.driver}{sensor.name and ':' + sensor.name}{capture and f'={capture}'}"
        for sensor, capture in found
    )


def _each(text: str) -> Iterator[tuple[WiredSensor, str]]:
    """Each sensor, on a pin that nobody else has, and the capture that it plays, see `setting`."""
    drivers = []
    for number, word in enumerate(text.split(",")):
        head, _, named = word.strip().partition("=")
        driver, colon, name = head.partition(":")
        if driver not in PLAYED:
            raise Problem(
                f"--sensors {text}: no sensor on the laptop's table is called {driver!r}.",
                f"Say one of: {', '.join(PLAYED)}.",
            )
        if colon and not NAME.fullmatch(name):
            raise Problem(
                f"--sensors {text}: {name!r} is no name that a field could begin with.",
                "A name is a letter, then up to 19 more of a-z, 0-9 and _.",
            )
        drivers.append(driver)
        if drivers.count(driver) > MOST_OF_A_KIND:
            raise Problem(
                f"--sensors {text}: there is no pin for so many {driver}.",
                f"Name {MOST_OF_A_KIND} at the most.",
            )
        capture = Path(named) if named else CAPTURES / f"{PLAYED[driver]}.jsonl"
        if not capture.is_file():
            raise Problem(f"--sensors {text}: there is no file {capture}.", "Name one that is.")
        said = "" if driver == "dht22" and not named else str(capture.absolute())
        if "," in said:
            raise Problem(
                f"--sensors {text}: the path {said} has a comma, which would end a sensor.",
                "Put it into a folder without one.",
            )
        yield WiredSensor(driver, (number,), name), said
