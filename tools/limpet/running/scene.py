"""What `limpet run` knows about its node: log lines and Messages in, Events and a summary out.

Pure: times are given, nothing is opened or printed. It counts, and does not judge.
"""

import re
from collections import OrderedDict
from typing import Any, NamedTuple

from limpet.heard.lateness import is_late
from limpet.operating.operator_client import Arrival
from limpet.shared import payloads
from limpet.shared.plain import is_number, plural
from limpet.shared.seen_readings import SeenReading, reading_values, readings

# (boot, seq) of Readings remembered: to know a Reading that came twice, and when each was taken.
REMEMBERED = 4096

_LOG_LINE = re.compile(r"(\d+\.\d{3}) (\w+) (.*)")
_WORD = re.compile(r"(\w+)=(\S+)")
# Of these areas every line is an event; of the others only what is picked out below.
_TOLD = ("node", "config", "clock")


class Event(NamedTuple):
    """A line of the live view: `kind` is its first column, `weight` plain, good, bad or quiet."""

    kind: str
    text: str
    weight: str = "plain"


class Scene:
    """The state of one node, from its log and from what a subscriber received.

    base: the device's topic without data type. verbose: every log line becomes an Event.
    """

    def __init__(self, base: str, verbose: bool = False) -> None:
        self.base = base
        self.verbose = verbose
        self.link = "down"
        self.status = ""
        self.reason = ""
        self.last: SeenReading | None = None
        self.first_at: float | None = None
        # What this run's node took, and what of that arrived; and what had waited from before.
        # late: of all that arrived, as charts mark it.
        self.taken = self.arrived = self.earlier = 0
        self.again = self.losses = self.errors = self.late = 0
        # Of what was taken: how much was in RAM when the power was cut.
        self.lost = 0
        self.was_up = False
        # Whether the last line of the log became an Event.
        self.told_last = False
        self._boot = self._first_boot = 0
        self._interval_s: float | None = None
        self._taken_at: OrderedDict[tuple[int, int], float] = OrderedDict()
        self._seen: OrderedDict[tuple[object, object], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """Readings taken that have not arrived yet."""
        return max(0, self.taken - self.arrived - self.lost)

    def shown(self) -> dict[str, Any]:
        """Return what the page shows beside the levers: while the node cannot be heard, its log on
        this machine tells all the same.
        """
        return {
            "id": payloads.device_of(self.base),
            "taken": self.taken,
            "waiting": self.waiting,
            "arrived": self.arrived,
            "late": self.late,
            "lost": self.lost,
            "link": "up" if self.link == "up" else "down",
        }

    def on_log(self, line: str, at: float) -> list[Event]:
        """Take a line of the node's log, read at `at` (monotonic seconds)."""
        events = self._log(line, at)
        self.told_last = bool(events)
        return events

    def _log(self, line: str, at: float) -> list[Event]:
        match = _LOG_LINE.fullmatch(line)
        if match is None:
            # No line of the log's form: a traceback, or the interpreter itself speaking.
            return [Event("node", payloads.safe(line), "bad")] if line.strip() else []
        area, text = match[2], match[3]
        told = self._told(area, text, dict(_WORD.findall(text)), at)
        if self.verbose:
            return [
                Event(
                    area, payloads.safe(f"{match[1]} {text}"), told[0].weight if told else "quiet"
                )
            ]
        return told

    def _told(self, area: str, text: str, words: dict[str, str], at: float) -> list[Event]:
        if area == "link":
            return self._link(text, words)
        if area == "sampler":
            return self._sampler(text, words, at)
        if area == "node" and words.get("boot", "").isdigit():
            self._boot = int(words["boot"])
            self._first_boot = self._first_boot or self._boot
        if area in _TOLD or "error" in text or "failed" in text:
            return [Event(area, payloads.safe(text), "bad" if "refused" in text else "quiet")]
        return []

    def _link(self, text: str, words: dict[str, str]) -> list[Event]:
        self.link = text.split(" ", 1)[0]
        if self.link == "up":
            self.was_up = True
            return [Event("link", payloads.safe(text), "good")]
        if self.link != "down":
            return []
        self.losses += self.was_up
        self.was_up = False
        return [Event("link", payloads.safe(text), "bad" if "cause" in words else "quiet")]

    def _sampler(self, text: str, words: dict[str, str], at: float) -> list[Event]:
        if text.startswith("reading") and words.get("seq", "").isdigit():
            self.taken += 1
            self._taken_at[(self._boot, int(words["seq"]))] = at
            _forget(self._taken_at)
        elif text.startswith("error"):
            self.errors += 1
            return [Event("sensor", f"{words.get('reason', text)}: tried again", "quiet")]
        return []

    def on_message(self, arrival: Arrival) -> list[Event]:
        """Take a Message as a subscriber received it."""
        kind = payloads.kind_of(arrival.topic)
        own = arrival.topic == f"{self.base}/{kind}"
        message = payloads.decode(arrival.payload) or {}
        if own and kind in payloads.READINGS:
            found = readings(message)
            if not found:
                return []
            age_s = self._age_s(found[0], arrival.at)
            late = is_late(arrival.topic, len(found), age_s, self._interval_s)
            return [self._reading(reading, arrival.at, late) for reading in found]
        if own and kind == "status" and message:
            self.status = payloads.word(message.get("status", "?"))
            self.reason = payloads.word(message.get("reason", ""))
            weight = "quiet" if arrival.retained else "good" if self.status == "online" else "bad"
            before = " (from before)" if arrival.retained else ""
            if self.reason == "shutdown":
                weight = "plain"
            return [Event("status", payloads.status_text(message) + before, weight)]
        return self._other(arrival, kind, own)

    def _other(self, arrival: Arrival, kind: str, own: bool) -> list[Event]:
        if own and kind == "health":
            self._health(payloads.decode(arrival.payload) or {})
        if kind in ("health", payloads.TIME) and not self.verbose:
            return []
        name = {"commands": "command", "alerts": "alert", payloads.TIME: "time"}.get(kind, kind)
        if kind.startswith("commands/response"):
            name = "response"
        weight = "quiet" if kind in ("health", payloads.TIME) else "plain"
        texts = payloads.describe(arrival.topic, arrival.payload) or [
            payloads.show(arrival.payload)
        ]
        whose = "" if own else f"{payloads.safe(payloads.device_of(arrival.topic))}: "
        return [Event(name, whose + text, weight) for text in texts]

    def _age_s(self, reading: SeenReading, at: float) -> float | None:
        if not (is_number(reading.boot) and is_number(reading.seq)):
            return None
        taken_at = self._taken_at.get((reading.boot, reading.seq))
        return None if taken_at is None else at - taken_at

    def _reading(self, reading: SeenReading, at: float, late: bool) -> Event:
        text = reading_values(reading)
        key = _words(reading.boot, reading.seq)
        if key in self._seen:
            self.again += 1
            return Event("reading", f"{text}  arrived before", "quiet")
        self._seen[key] = None
        _forget(self._seen)
        self.last = reading
        self.late += late
        if is_number(reading.boot) and reading.boot < self._first_boot:
            self.earlier += 1
            return Event("reading", f"{text}  from before", "good")
        self.arrived += 1
        if self.first_at is None:
            self.first_at = at
        age_s = self._age_s(reading, at)
        waited = "" if age_s is None else f"  {span_text(age_s)}"
        return Event("reading", text + waited, "good")

    def _health(self, message: dict[str, Any]) -> None:
        """Note its interval. A node with nothing left to send will not send what it took in earlier
        boots either.
        """
        if is_number(message.get("interval_s")):
            self._interval_s = float(message["interval_s"])
        if message.get("queued") == 0:
            before = [key for key in self._taken_at if key[0] < self._boot]
            lost = [key for key in before if _words(*key) not in self._seen]
            for key in lost:
                del self._taken_at[key]
            self.lost += len(lost)

    def shortfall(self) -> str:
        """Return in one line why no Reading arrived."""
        if self.taken:
            return (
                f"{plural(self.taken, 'Reading')} taken, and none arrived; the link is {self.link}"
            )
        if self.errors:
            return f"the sensor gave no Reading in {self.errors} attempts"
        return f"the node took no Reading; the link is {self.link}"


def _words(boot: object, seq: object) -> tuple[str, str]:
    return payloads.word(boot), payloads.word(seq)


def _forget(memory: OrderedDict) -> None:
    while len(memory) > REMEMBERED:
        memory.popitem(last=False)


def span_text(seconds: float) -> str:
    """Return a span of time as `18 ms`, `1.2 s` or `73 s`."""
    if seconds < 0.001:
        return "<1 ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
