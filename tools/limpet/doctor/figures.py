"""What a broker says of itself, and what of it is near a limit. Pure.

Who says what, and how, is in parsed.py: here every broker's figures have the same names.
"""

from dataclasses import dataclass, replace
from typing import Literal

from limpet.brokers.capacity import Limits
from limpet.shared.plain import plural

Level = Literal["ok", "warning", "critical"]

# Before that a broker's own means say nothing: it has not been up for long enough.
LEARNT_S = 15 * 60
# So many Messages before it can be twice anything: chance alone doubles a handful.
ENOUGH = 20
TWICE = 2.0
REFUSED = "refused logins"
HOUR_S = 3600


@dataclass(frozen=True)
class Refusal:
    """A login that was refused. who: what it called itself, else its address, else ''. id: what
    tells it from others of the same broker, 0 where there is nothing like that.
    """

    who: str
    why: str
    id: int = 0


@dataclass(frozen=True)
class Numbers:
    """What a broker says of itself; None: nothing of that kind.

    connections, connections_limit; memory, memory_limit: bytes; the limits are its own, where it
    says them. retained; own_retained: whether what it says of itself is among those. waiting:
    Messages held for somebody who is slow or away. dropped, sent, received: Messages since it
    started, uptime_s ago. rate, usual: Messages a second that come in, over the last rate_s and as
    the mean of usual_s. refused: logins since it started; refusals: the last of them, with names;
    refused_hour: how many an hour.
    """

    connections: float | None = None
    connections_limit: float | None = None
    memory: float | None = None
    memory_limit: float | None = None
    retained: float | None = None
    own_retained: bool = False
    waiting: float | None = None
    dropped: float | None = None
    sent: float | None = None
    received: float | None = None
    uptime_s: float | None = None
    rate: float | None = None
    rate_s: float = 60.0
    usual: float | None = None
    usual_s: float = 0.0
    refused: float | None = None
    refused_hour: float | None = None
    refusals: tuple[Refusal, ...] = ()

    def said(self) -> bool:
        """Whether it says anything of itself."""
        return any(
            each is not None
            for each in (self.connections, self.memory, self.retained, self.waiting, self.received)
        )


@dataclass(frozen=True)
class Judged:
    """One figure. value, warning and critical are in `unit`; None: it never is that bad.

    limit: what the broker is held to, None where nothing holds it. note: what is to be added.
    """

    name: str
    value: float
    unit: str
    warning: float | None
    critical: float | None
    limit: float | None
    remedy: str
    note: str = ""

    @property
    def level(self) -> Level:
        """How bad it is."""
        if self.critical is not None and self.value >= self.critical:
            return "critical"
        return "warning" if self.warning is not None and self.value >= self.warning else "ok"

    def words(self) -> str:
        """Return the figure as a line for a person: `connections 41 of 60`."""
        of = f" of {self.limit:,.0f}" if self.limit is not None else ""
        whole = self.unit != "%" and float(self.value).is_integer()
        number = f"{self.value:,.0f}" if whole else f"{self.value:,.2f}"
        unit = f" {self.unit}" if self.unit else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.name} {number}{of}{unit}{note}"


LARGER = "Size it for more devices: limpet broker-config --devices N, and restart it."
_RETAINED = "See who retains so much: mosquitto_sub --retained-only -v -t '#'."
_OWN = "what it says of itself below $SYS is among them"
_WAITING = "See which consumer is away or slow, and start it or end its session."
_DROPPED = "See which consumer is away or slow: what did not fit its queue was dropped."
_RATE = "See who speaks so much: limpet watch."
_REFUSED = "See who it is in the broker's log: limpet doctor --follow tells each."
_UNKNOWN = "Provision them, or find out whose they are; limpet fleet list tells stale files."


def judged(said: Numbers, limits: Limits) -> list[Judged]:
    """Return what a broker says of itself, as far as it does, against its limits; those it does
    not say are its fleet's.
    """
    found: list[Judged] = []
    if said.connections is not None:
        most = said.connections_limit or limits.connections
        found.append(_share("connections", said.connections, most, (0.8, 0.95), ""))
    if said.memory is not None:
        most = said.memory_limit or limits.memory_bytes
        found.append(_share("memory", said.memory, most, (0.7, 0.9), "bytes"))
    if said.retained is not None:
        note = _OWN if said.own_retained else ""
        found.append(Judged("retained", said.retained, "", 100_000, 500_000, None, _RETAINED, note))
    if said.waiting is not None:
        found.append(Judged("in flight", said.waiting, "", 10_000, 50_000, None, _WAITING))
    if said.dropped is not None and said.sent is not None:
        of_all = said.dropped + said.sent
        lost = 100 * said.dropped / of_all if of_all else 0.0
        found.append(Judged("dropped", lost, "%", 0.1, 1.0, None, _DROPPED))
    if said.rate is not None:
        found.append(rate(said))
    if said.refused_hour is not None:
        found.append(Judged(REFUSED, round(said.refused_hour), "an hour", 6, 600, None, _REFUSED))
    return found


def with_rate(before: Numbers, now: Numbers, over_s: float) -> Numbers:
    """Return `now` with the rate since `before`, over_s seconds ago, and as the usual one the mean
    since the broker has started; where it counts what it receives.
    """
    if before.received is None or now.received is None or now.rate is not None:
        return now
    up = now.uptime_s or 0.0
    usual = now.received / up if up >= LEARNT_S else None
    rate = max(now.received - before.received, 0) / over_s
    return replace(now, rate=rate, rate_s=over_s, usual=usual, usual_s=up)


def rate(said: Numbers) -> Judged:
    """Return the rate of Messages beside the usual one; where that is not known, none is too
    much.
    """
    now = said.rate or 0.0
    if said.usual is None:
        note = "what is usual is not known yet"
        return Judged("Messages", now, "a second", None, None, None, _RATE, note)
    most = max(TWICE * said.usual, ENOUGH / said.rate_s)
    note = f"usual are {said.usual:,.2f}, over {span(said.usual_s)}"
    return Judged("Messages", now, "a second", most, None, None, _RATE, note)


def unknown(names: list[str], more: int = 0) -> Judged:
    """Return the figure of devices that speak and are in no registry; `more`: how many Messages
    came from further ones, of which nobody knows how many they are.
    """
    note = ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
    if more:
        note += f"; or more, as further ones said {plural(more, 'Message')}"
    return Judged("unknown devices", len(names), "", 1, None, None, _UNKNOWN, note)


def _share(name: str, value: float, limit: float, levels: tuple[float, float], unit: str) -> Judged:
    warning, critical = (limit * each for each in levels)
    return Judged(name, value, unit, warning, critical, limit, LARGER)


def span(seconds: float) -> str:
    """Return a time as a person says it: `90 s`, `15 minutes`, `3 hours`."""
    for unit, size in (("days", 24 * HOUR_S), ("hours", HOUR_S), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
