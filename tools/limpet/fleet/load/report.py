"""What a load run says when it is over: as text, and as Markdown with pictures."""

import platform
import shlex
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from limpet.fleet.load import chart, machine
from limpet.fleet.load.figures import Latencies
from limpet.fleet.load.play import BACK_S, DRAIN_S, Event, Measured, Play, Sample

_SHARES = (50, 95, 99)


class Outcome(NamedTuple):
    """What became of the Readings that were taken and not delivered. kept: by their nodes, which
    have no PUBACK for them. lost: acknowledged and not passed on, or out of a full Outbox.
    """

    kept: int
    lost: int
    examples: list[str]


class Report:
    """The report of a run that is over. faults: why it was not as it should be; none: it was."""

    def __init__(self, play: Play, broker: str) -> None:
        self._play = play
        self._broker = broker
        self._machine = machine.described()
        self._load = machine.load()
        self.outcome = _outcome(play)
        self.faults = _faults(play, self.outcome)

    def rows(self) -> list[tuple[str, str]]:
        """Return name and value of each figure."""
        found = [("machine", self._machine), ("software", self._software())]
        found += [("asked for", _asked(self._play)), *self._connections(), *self._readings()]
        return found

    def text(self) -> str:
        """Return it for a terminal."""
        rows = self.rows()
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        return "\n".join([*lines, "", *self._verdict()])

    def markdown(self, words: Sequence[str]) -> str:
        """Return it as a page; `words` are the command line's."""
        count = self._play.wanted.nodes
        lines = [f"# {count:,} nodes against a broker", "", f"    limpet {shlex.join(words)}", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| {name} | {value.replace('|', ' ')} |" for name, value in self.rows()]
        lines += ["", *self._verdict(), ""]
        lines += [f"![{title}]({name}.svg)\n" for name, title, _ in _CHARTS if self._has(name)]
        return "\n".join(lines)

    def write(self, folder: Path, words: Sequence[str]) -> None:
        """Write report.md and its pictures into the folder, which is there."""
        samples = self._play.record.samples
        marks = [(each.at, each.name) for each in self._play.record.events]
        for name, title, value in _CHARTS:
            if self._has(name):
                points = [(each.at, value(each) or 0.0) for each in samples]
                (folder / f"{name}.svg").write_text(chart.line(title, points, marks), "utf-8")
        (folder / "report.md").write_text(self.markdown(words), "utf-8")

    def _has(self, name: str) -> bool:
        measured = self._play.record.samples
        return name != "broker" or any(each.broker_mb is not None for each in measured)

    def _verdict(self) -> list[str]:
        if not self.faults:
            return ["No Reading is lost."]
        return [f"FAILED: {fault}." for fault in self.faults]

    def _software(self) -> str:
        parts = [self._broker, f"Python {platform.python_version()}", f"uvloop {version('uvloop')}"]
        if self._load is not None:
            parts.append(f"load of the machine at the end {self._load:.1f}")
        return "; ".join(parts)

    def _connections(self) -> list[tuple[str, str]]:
        play, record = self._play, self._play.record
        figures = play.figures
        most = max((each.up for each in record.samples), default=0)
        took = "not all" if record.ramp_s is None else f"all within {record.ramp_s:.0f} s"
        found = [
            ("connected", f"{most:,} at once, {took}"),
            ("connects", f"{figures.connects:,} in all, {figures.peak:,} in the busiest second"),
        ]
        if figures.downs:
            causes = (f"{count:,} {cause}" for cause, count in figures.downs.most_common())
            found.append(("ended or failed", ", ".join(causes)))
        if record.churned:
            found.append(("cut one by one", f"{record.churned:,}"))
        found += [_event(each) for each in record.events]
        found += _costs(record.marks, most, most - play.wanted.real)
        return found

    def _readings(self) -> list[tuple[str, str]]:
        figures, record = self._play.figures, self._play.record
        outcome = self.outcome
        rate = record.load_delivered / record.load_s if record.load_s else 0.0
        said = (
            f"{figures.taken:,} taken, {figures.delivered:,} delivered, "
            f"{figures.doubled:,} of them again, "
            f"{outcome.kept:,} kept by their nodes, {outcome.lost:,} lost"
        )
        found = [
            ("publish to PUBACK", _latency(figures.acknowledged)),
            ("publish to consumer", _latency(figures.consumed)),
            ("our own lateness", _latency(figures.lag)),
            ("through", f"{rate:,.0f} Readings a second"),
            ("Readings", said),
        ]
        if figures.foreign:
            found.append(("from before or after", f"{figures.foreign:,} Readings, not counted"))
        return found


def _asked(play: Play) -> str:
    wanted = play.wanted
    real = f"{wanted.real:,} real and " if wanted.real else ""
    parts = [
        f"{real}{wanted.nodes - wanted.real:,} light nodes, TLS with a certificate each",
        f"a Reading each {wanted.interval_s:g} s for {wanted.seconds:g} s",
        f"{wanted.ramp:g} switched on a second",
    ]
    parts += [f"{wanted.churn:g} cut each minute"] if wanted.churn else []
    return ", ".join(parts)


def _event(event: Event) -> tuple[str, str]:
    parts = [f"at {event.at:.0f} s"]
    if event.away_s is not None:
        parts.append(f"it was away {event.away_s:.1f} s")
    back = "not all were back" if event.back_s is None else f"all back after {event.back_s:.1f} s"
    return event.name, ", ".join([*parts, f"{event.cut:,} were connected", back])


def _costs(marks: dict[str, Measured], nodes: int, light: int) -> list[tuple[str, str]]:
    """What a connection costs the broker, and us, who play the light nodes."""
    begin, up = marks.get("connecting"), marks.get("connected")
    if not begin or not up or nodes <= 0:
        return []
    broker = _each(begin.broker_kb, up.broker_kb, nodes)
    theirs = "broker not known, it is not ours" if broker is None else f"broker {broker:.0f} KB"
    own = _each(begin.own_kb, up.own_kb, light)
    ours = "" if own is None else f", light node {own:.0f} KB"
    found = [("memory of each", theirs + ours)]
    broker = _each(begin.broker_cpu, up.broker_cpu, nodes)
    own = _each(begin.own_cpu, up.own_cpu, light)
    if broker is not None:
        ours = "" if own is None else f", light node {own * 1000:.1f} ms"
        text = f"broker {broker * 1000:.1f} ms{ours}, with the Readings of that time"
        found.append(("CPU of each connect", text))
    return found


def _each(before: float | None, after: float | None, count: int) -> float | None:
    return None if before is None or after is None or count <= 0 else (after - before) / count


def _latency(found: Latencies) -> str:
    if not found.count:
        return "none"
    parts = []
    for share in _SHARES:
        value = found.percentile(share)
        assert value is not None
        parts.append(f"{share} % within {_ms(value)}")
    return ", ".join([*parts, f"longest {_ms(found.longest)}"])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _outcome(play: Play) -> Outcome:
    by_base = {node.base: node for node in play.nodes}
    kept = lost = 0
    examples: list[str] = []
    for base, device in play.figures.devices.items():
        missing = device.missing()
        if not missing:
            continue
        still = missing & by_base[base].kept() if base in by_base else set()
        gone = sorted(missing - still)
        kept, lost = kept + len(still), lost + len(gone)
        if gone and len(examples) < 3:
            boot, seq = gone[0]
            examples.append(f"{base.rpartition('/')[2]} boot {boot} seq {seq}")
    return Outcome(kept, lost, examples)


def _faults(play: Play, outcome: Outcome) -> list[str]:
    record = play.record
    found = [record.fault] if record.fault else []
    if outcome.lost:
        cut = "were not through when this was cut short" if record.cut_short else "are lost"
        dropped = play.figures.dropped
        full = f", {dropped:,} of them out of full Outboxes" if dropped else ""
        which = ", ".join(outcome.examples)
        found.append(f"{outcome.lost:,} Readings {cut}{full}, such as {which}")
    if outcome.kept:
        limit = "this was cut short" if record.cut_short else f"{DRAIN_S:.0f} s were over"
        found.append(f"{outcome.kept:,} Readings had no PUBACK when {limit}; nodes keep them")
    late = [each for each in record.events if each.back_s is None and not record.interrupted]
    found += [f"{each.name}: not all nodes were back within {BACK_S:.0f} s" for each in late]
    return found


_CHARTS: tuple[tuple[str, str, Callable[[Sample], float | None]], ...] = (
    ("connected", "Connected nodes", lambda each: each.up),
    ("connects", "Connects in each second", lambda each: each.connects),
    ("readings", "Readings delivered in each second", lambda each: each.delivered),
    ("waiting", "Readings without PUBACK", lambda each: each.waiting),
    ("lateness", "Our own lateness, ms", lambda each: each.lag_ms),
    ("broker", "Memory of the broker, MB", lambda each: each.broker_mb),
)
