"""What is asked of a store: devices, fields, values between two times, what is missing, what else
the devices said. For the page, `limpet export` and `--report`; nothing is changed here.

Times are Unix seconds. A store that cannot be read, or is none, is a Problem.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from limpet.ingest.places import Place
from limpet.ingest.source import Source, SqliteSource
from limpet.shared.problem import Problem


class Device(NamedTuple):
    """A device that has said something. readings: how many are stored; missing: how many seqs
    between the first and the last of a boot are not. first, last: times of the first and the last
    Reading, None where there is none with a time.
    """

    name: str
    base: str
    boots: int
    readings: int
    missing: int
    first: int | None
    last: int | None


class Gap(NamedTuple):
    """Seqs `first` to `last` of a boot that are not there: between two Readings of these times."""

    device: str
    boot: int
    first: int
    last: int
    after: int | None
    before: int | None


class Bucket(NamedTuple):
    """What a field was within a stretch of time that begins at `ts`; size: of how many values."""

    ts: int
    least: float
    mean: float
    most: float
    size: int


class Event(NamedTuple):
    """A status, alert, health or Response of a device, as it came."""

    device: str
    kind: str
    at: int
    payload: str


class Reader:
    """Asks a store. A context manager; not to be shared between threads."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *error: object) -> None:
        self._source.close()

    def devices(self) -> list[Device]:
        """Return all devices, by name."""
        spans = self._source.all(
            "SELECT device, count(DISTINCT boot), sum(last - first + 1), min(first_ts),"
            " max(last_ts) FROM span GROUP BY device"
        )
        by_device = {row[0]: row[1:] for row in spans}
        missing = self._missing()
        found = []
        for number, name, base in self._source.all("SELECT id, name, base FROM device"):
            boots, readings, first, last = by_device.get(number, (0, 0, None, None))
            lacking = missing.get(number, 0)
            found.append(Device(name, base, boots, int(readings), lacking, first, last))
        return sorted(found)

    def _missing(self) -> dict[int, int]:
        ask = (
            "SELECT device, max(last) - min(first) + 1 - sum(last - first + 1) FROM span"
            " GROUP BY device, boot"
        )
        found: dict[int, int] = {}
        for device, count in self._source.all(ask):
            found[device] = found.get(device, 0) + int(count)
        return found

    def fields(self, device: str | None = None) -> list[str]:
        """Return the fields that the store has, or those that `device` has at least once said."""
        names = self._source.columns()
        if device is None or not names:
            return names
        # One row per field: the first that is not null ends each look.
        found = []
        for name in names:
            ask = f'SELECT 1 FROM reading WHERE device = ? AND "{name}" IS NOT NULL LIMIT 1'  # noqa: S608
            if self._source.all(ask, (self._id(device),)):
                found.append(name)
        return found

    def values(
        self, device: str, fields: Sequence[str], since: int, until: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (ts, *values) of the Readings from `since` up to, and without, `until`, by time."""
        for ts, _, _, *values in self.readings(device, fields, since, until):
            yield ts, *values

    def readings(
        self, device: str, fields: Sequence[str], since: int, until: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield (ts, boot, seq, *values), as `values` does."""
        self._known(fields)
        names = "".join(f', "{name}"' for name in fields)
        source = self._source
        ask = (
            f"SELECT {source.seconds('ts')}, boot, seq{names} FROM reading"  # noqa: S608 - columns
            f" WHERE device = ? AND ts >= {source.time} AND ts < {source.time}"
            " ORDER BY device, ts, boot, seq"
        )
        yield from source.each(ask, (self._id(device), since, until))

    def began(self, device: str) -> int | None:
        """Return when the first Reading of a device was measured; None where no time is known."""
        ask = "SELECT min(first_ts) FROM span WHERE device = ?"
        found = self._source.all(ask, (self._id(device),))[0][0]
        return None if found is None else int(found)

    def undated(self) -> int:
        """Return of how many Readings the time is not known."""
        return int(self._source.all("SELECT count(*) FROM undated")[0][0])

    def downsampled(
        self, device: str, field: str, since: int, until: int, points: int
    ) -> list[Bucket]:
        """Return at most `points` stretches of equal length between two times, those without any
        value left out: so a gap stays a gap.
        """
        self._known([field])
        width = max(-(-(until - since) // max(points, 1)), 1)
        source = self._source
        ask = (
            f"SELECT ({source.seconds('ts')} - ?) / ? AS n,"  # noqa: S608 - a name of a column
            f' min("{field}"), avg("{field}"), max("{field}"), count("{field}") FROM reading'
            f" WHERE device = ? AND ts >= {source.time} AND ts < {source.time}"
            f' AND "{field}" IS NOT NULL GROUP BY n ORDER BY n'
        )
        rows = source.all(ask, (since, width, self._id(device), since, until))
        return [Bucket(since + int(n) * width, *rest) for n, *rest in rows]

    def gaps(self, device: str | None = None) -> list[Gap]:
        """Return what is missing, of all or of one device, by device, boot and seq."""
        ask = (
            "SELECT d.name, s.boot, s.first, s.last, s.first_ts, s.last_ts"
            " FROM span s JOIN device d ON d.id = s.device"
        )
        given: tuple[Any, ...] = ()
        if device is not None:
            ask, given = ask + " WHERE s.device = ?", (self._id(device),)
        found: list[Gap] = []
        before: tuple[Any, ...] = ()
        for row in self._source.each(ask + " ORDER BY d.name, s.boot, s.first", given):
            if before[:2] == row[:2]:
                found.append(Gap(row[0], row[1], before[3] + 1, row[2] - 1, before[5], row[4]))
            before = row
        return found

    def events(
        self, kind: str, device: str | None = None, since: int = 0, until: int = 1 << 33
    ) -> Iterator[Event]:
        """Yield what was said of a kind (`status`, `alert`, `health`, `response`), by time."""
        ask = (
            "SELECT d.name, e.kind, e.at, e.payload FROM event e JOIN device d ON d.id = e.device"
            " WHERE e.kind = ? AND e.at >= ? AND e.at < ?"
        )
        given: tuple[Any, ...] = (kind, since, until)
        if device is not None:
            ask, given = ask + " AND e.device = ?", (*given, self._id(device))
        for row in self._source.each(ask + " ORDER BY e.at, d.name", given):
            yield Event(*row)

    def status(self, device: str) -> Event | None:
        """Return the last status of a device: of the greatest boot and session, where an offline
        comes behind the online.
        """
        ask = "SELECT key, at, payload FROM event WHERE device = ? AND kind = 'status'"
        found = [(_order(key), at, text) for key, at, text in self._each(ask, device)]
        if not found:
            return None
        _, at, payload = max(found)
        return Event(device, "status", at, payload)

    def tally(self) -> list[tuple[str, str, int, int]]:
        """Return what was rejected: reason, device ('' for none that is known), how often, and when
        the last time.
        """
        ask = "SELECT reason, device, n, last FROM tally ORDER BY reason, device"
        return [tuple(row) for row in self._source.all(ask)]

    def _each(self, ask: str, device: str) -> Iterator[tuple[Any, ...]]:
        return self._source.each(ask, (self._id(device),))

    def _id(self, device: str) -> int:
        found = self._source.all("SELECT id FROM device WHERE name = ?", (device,))
        if found:
            return int(found[0][0])
        names = ", ".join(each.name for each in self.devices()) or "none"
        raise Problem(f"The store has nothing of {device!r}.", f"There is: {names}.")

    def _known(self, fields: Sequence[str]) -> None:
        names = self._source.columns()
        for name in fields:
            if name not in names:
                there = ", ".join(names) or "none"
                raise Problem(f"The store has no field {name!r}.", f"There is: {there}.")


def _order(key: str) -> tuple[int, int, bool]:
    boot, session, word = key.split(" ", 2)
    return int(boot), int(session), word == "offline"


def reader(where: Place) -> Reader:
    """Return a Reader of the store; raises Problem where there is none."""
    if where.kind == "sqlite":
        return Reader(SqliteSource(Path(where.url)))
    from limpet.ingest.postgres_reader import PostgresSource

    return Reader(PostgresSource(where.url, where.shown))
