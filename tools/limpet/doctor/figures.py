"""What a broker says of itself below `$SYS`, and what of it is near a limit. Pure.

The names are mosquitto's (mosquitto(8), BROKER STATUS). Others have none of these, or others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from limpet.brokers.capacity import Limits

ROOT = "$SYS/broker/"
CONNECTED = ROOT + "clients/connected"
MEMORY = ROOT + "heap/current"
RETAINED = ROOT + "retained messages/count"
STORED = ROOT + "store/messages/count"
DROPPED = ROOT + "publish/messages/dropped"
SENT = ROOT + "publish/messages/sent"
WANTED = (CONNECTED, MEMORY, RETAINED, STORED, DROPPED, SENT)

Level = Literal["ok", "warning", "critical"]


@dataclass(frozen=True)
class Judged:
    """One figure. value, warning and critical are in `unit`; limit: what the broker is held to,
    None where nothing holds it.
    """

    name: str
    value: float
    unit: str
    warning: float
    critical: float
    limit: float | None
    remedy: str

    @property
    def level(self) -> Level:
        """How bad it is."""
        if self.value >= self.critical:
            return "critical"
        return "warning" if self.value >= self.warning else "ok"

    def words(self) -> str:
        """Return the figure as a line for a person: `connections 41 of 60`."""
        of = f" of {self.limit:,.0f}" if self.limit is not None else ""
        number = f"{self.value:,.2f}" if self.unit == "%" else f"{self.value:,.0f}"
        return f"{self.name} {number}{of}{' ' + self.unit if self.unit else ''}"


def judged(said: Mapping[str, bytes], limits: Limits) -> list[Judged]:
    """Return what a broker says of itself, as far as it does, against the limits of its fleet.

    said: payload by topic. What is no number counts as not said.
    """
    numbers = {
        topic: number for topic in WANTED if (number := _number(said.get(topic))) is not None
    }
    found: list[Judged] = []
    larger = "Size it for more devices: limpet broker-config --devices N, and restart it."

    def share(name: str, topic: str, limit: int, levels: tuple[float, float], unit: str) -> None:
        if topic in numbers:
            warning, critical = (limit * each for each in levels)
            found.append(Judged(name, numbers[topic], unit, warning, critical, limit, larger))

    share("connections", CONNECTED, limits.connections, (0.8, 0.95), "")
    share("memory", MEMORY, limits.memory_bytes, (0.7, 0.9), "bytes")
    if RETAINED in numbers:
        remedy = "See who retains so much: mosquitto_sub --retained-only -v -t '#'."
        retained = Judged("retained", numbers[RETAINED], "", 100_000, 500_000, None, remedy)
        found.append(retained)
    if STORED in numbers:
        # What the store holds is retained, or waits for a client that is slow or away.
        waiting = max(numbers[STORED] - numbers.get(RETAINED, 0), 0)
        remedy = "See which consumer is away or slow, and start it or end its session."
        found.append(Judged("in flight", waiting, "", 10_000, 50_000, None, remedy))
    if DROPPED in numbers and SENT in numbers:
        dropped, all_of_them = numbers[DROPPED], numbers[DROPPED] + numbers[SENT]
        lost = 100 * dropped / all_of_them if all_of_them else 0.0
        remedy = "See which consumer is away or slow: what did not fit its queue was dropped."
        found.append(Judged("dropped", lost, "%", 0.1, 1.0, None, remedy))
    return found


def _number(payload: bytes | None) -> float | None:
    # No float(): that reads "nan", "infinity" and digits of other scripts as well.
    if payload is None or not payload.isdigit() or len(payload) > 18:
        return None
    return int(payload)
