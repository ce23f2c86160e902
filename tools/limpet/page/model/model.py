"""All that the page knows, made from what is heard.

One thread hears, another one asks; whoever does either holds `lock`, and not for long. What has
changed is found by a number that grows: a card that was changed gets the next one and goes to the
end, so whoever remembers the last number he has seen finds what is newer without a list of his own.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple

from limpet.brokers import rules
from limpet.heard.fleet import Fleet, Heard
from limpet.heard.known import Known
from limpet.heard.lateness import is_late
from limpet.heard.listening import Hearing
from limpet.heard.trouble import trouble
from limpet.ingest.consumer import Message
from limpet.ingest.intake import Reading, Taken
from limpet.page.model import cards
from limpet.page.model.node import Node
from limpet.page.model.topics import Topics
from limpet.shared import payloads
from limpet.shared.firmware import topics

MEMORY_S = 3600.0
# Readings of one device that are kept, and values of all of them together: 35 MB.
MOST_READINGS = 720
MOST_VALUES = 2000 * 3 * 720
LEAST_READINGS = 20
MOST_TREND = 120
# Of settings that a device reports, or is to have.
MAX_SETTINGS = 4096
MAX_TEXT = 300
# What has happened since the last look of who shows it; what is beyond it is left out, and said.
MOST_NEWS = 2000
_COMMANDS = topics.COMMANDS
_BAD = ("offline", "raised", "rejected", "failed", "expired")


OnResponse = Callable[[str, dict[str, Any]], None]


class News(NamedTuple):
    """Something that happened to a device. kind: readings, event or response; frame: as the browser
    gets it.
    """

    kind: str
    device: str
    frame: dict[str, Any]


class Model(Hearing):
    """began: since when we listen, Unix seconds. at, said: where the broker is, and what there is
    to say of the connection. on_response: called with each Response, topic and payload.
    """

    def __init__(self, known: Known, began: float, on_response: OnResponse) -> None:
        super().__init__(Fleet({}, began), known)
        self.at = self.said = ""
        self._since = began
        self._on_response = on_response
        self.bases: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}
        self.topics = Topics()
        # The number of a card's last change, the latest at the end.
        self.changed: dict[str, int] = {}
        self.number = 0
        self.gone: deque[tuple[int, str]] = deque(maxlen=MOST_NEWS)
        # Devices that somebody looks at, and how many do.
        self.watched: Counter[str] = Counter()
        self.details: set[str] = set()  # of those, what has changed
        self.news: list[News] = []
        self.left_out = 0
        self._columns = 0
        self._registered(began)

    # Hearing. All of these are called with the lock.

    def connection(self, up: bool, connects: int, now: float) -> None:
        """Note how the connection is. now: Unix seconds."""
        if up != self.up or connects != self.connects:
            self._since = now
        super().connection(up, connects, now)

    def look(self, now: float) -> None:
        """Go by the registry of now, and see whose state has changed by itself."""
        self._registered(now)
        now = self.judged_at(now)
        for device, heard in self.fleet.devices.items():
            node = self.nodes[device]
            if (word := trouble(heard, now)) != node.trouble:
                node.trouble = word
                self._change(device)

    def _registered(self, now: float) -> None:
        bases = self.known.refresh()
        if bases == self.bases:
            return
        self.fleet.known(bases)
        for device in self.bases.keys() - bases.keys():
            self.nodes.pop(device, None)
            self.changed.pop(device, None)
            self.number += 1
            self.gone.append((self.number, device))
        for device, base in bases.items():
            if device not in self.nodes:
                self.nodes[device] = Node()
                self.nodes[device].trouble = trouble(self.fleet.devices[device], now)
            if self.bases.get(device) != base:
                self._change(device)
        self.bases = dict(bases)

    def take(self, message: Message, now: float) -> None:
        """Take a Message, of any content. now: Unix seconds."""
        topic = message.topic
        if topic is None:
            self.fleet.take(message, now)
            return
        self.topics.take(topic, message.payload, message.retained, now)
        kind = payloads.kind_of(topic)
        if kind in (rules.DESIRED, rules.REPORTED, _COMMANDS):
            self._beside(payloads.device_of(topic), kind, message, now)
        elif kind and kind != payloads.TIME:
            taken = self.fleet.take(message, now)
            if taken is not None:
                self._note(payloads.device_of(topic), taken, message, now)

    def _note(self, device: str, taken: Taken, message: Message, now: float) -> None:
        heard, node = self.fleet.devices[device], self.nodes[device]
        if taken.readings:
            self._readings(device, heard, node, taken.readings, message, now)
        for event in taken.events:
            said = payloads.decode(event.payload.encode())
            if event.kind == "health":
                values = {name: heard.health.get(name) for name in cards.TREND}
                node.health.add(int(now), 1, 0, values, late=False, most=MOST_TREND)
            elif said is not None:
                self._event(device, node, event.kind, said, float(event.at), message.retained)
            if said is not None and event.kind == "response" and not message.retained:
                self._on_response(message.topic or "", said)
        self._change(device)

    def _readings(
        self,
        device: str,
        heard: Heard,
        node: Node,
        readings: list[Reading],
        message: Message,
        now: float,
    ) -> None:
        topic, taken_at = message.topic or "", readings[0].ts
        live = len(readings) == 1 and topic.endswith(topics.TELEMETRY)
        age_s = None if taken_at is None else now - taken_at
        late = is_late(topic, len(readings), age_s, heard.health.get("interval_s"))
        most = self._room(node)
        rows = []
        for each in readings:
            # Without a clock of its own what is live is of now.
            ts = int(now) if each.ts is None and live else each.ts
            if ts is None:
                continue
            values = {name: each.values[name] for name in each.values if name in heard.fields}
            columns = len(node.series.fields)
            if node.series.add(ts, each.boot, each.seq, values, late=late, most=most):
                rows.append([ts, each.boot, each.seq, values])
                self._columns += len(node.series.fields) - columns
        if rows and device in self.watched:
            self._tell(
                "readings", device, {"t": "readings", "id": device, "late": late, "rows": rows}
            )

    def _room(self, node: Node) -> int:
        """Return how many Readings of a device are kept: all of them have to fit together."""
        columns = max(self._columns, 2 * len(self.nodes)) + len(self.nodes)
        return min(MOST_READINGS, max(MOST_VALUES // max(columns, 1), LEAST_READINGS))

    def _event(
        self, device: str, node: Node, kind: str, said: dict[str, Any], at: float, retained: bool
    ) -> None:
        text, word = "", ""
        if kind == "status":
            text, word = payloads.status_text(said), str(said.get("status"))
        elif kind == "alert":
            words = [said.get("alert"), said.get("state"), said.get("reason")]
            text = " ".join(payloads.word(each) for each in words if each is not None)
            word = str(said.get("state"))
        elif kind == "response":
            action = node.actions.get(str(said.get("id")), "")
            text, word = payloads.response_text(said, action), str(said.get("status"))
        good = word in ("online", "cleared", "executed")
        weight = "bad" if word in _BAD else "good" if good else "quiet"
        self._happened(device, node, kind, at, text, weight, quiet=retained)

    def _happened(
        self,
        device: str,
        node: Node,
        kind: str,
        at: float,
        text: str,
        weight: str,
        *,
        quiet: bool = False,
    ) -> None:
        """Note an event. quiet: it is of before, and no news to who looks at all devices."""
        frame = {
            "t": "event",
            "id": device,
            "kind": kind,
            "ts": at,
            "text": payloads.safe(text)[:MAX_TEXT],
            "weight": weight,
            "more": {},
        }
        node.events.append(frame)
        if not quiet and (device in self.watched or kind in ("status", "alert")):
            self._tell("event", device, frame)

    def _beside(self, device: str, kind: str, message: Message, now: float) -> None:
        """Take what the fleet's record does not: settings, and Commands on their way."""
        node = self.nodes.get(device)
        # A device that is known, below the topic of another one.
        if node is None or not (message.topic or "").startswith(self.bases[device] + "/"):
            return
        too_long = len(message.payload) > MAX_SETTINGS
        said = None if too_long else payloads.decode(message.payload)
        if kind == _COMMANDS:
            if said is not None and not message.retained:
                node.asked(said)
                text = payloads.describe(message.topic or "", message.payload)[0]
                self._happened(device, node, "command", now, text, "plain")
        elif kind == rules.DESIRED:
            node.desired = said
        else:
            node.reported = said
        self._change(device)

    def _change(self, device: str) -> None:
        self.number += 1
        self.changed.pop(device, None)
        self.changed[device] = self.number
        if device in self.watched:
            self.details.add(device)

    def _tell(self, kind: str, device: str, frame: dict[str, Any]) -> None:
        if len(self.news) >= MOST_NEWS:
            self.left_out += 1
        else:
            self.news.append(News(kind, device, frame))

    # Asking. With the lock as well.

    def broker(self) -> dict[str, Any]:
        """Return how the connection is, as the browser gets it."""
        return {"up": self.up, "at": self.at, "since": self._since, "text": self.said}

    @property
    def heard_since(self) -> float:
        """Since when nothing was missed, Unix seconds; infinite while there is no connection."""
        return self._since if self.up else math.inf

    def card(self, device: str, now: float, *, spark: bool = False) -> dict[str, Any]:
        """Return the card of a device that is known, with its newest values where wanted."""
        node, now = self.nodes[device], self.judged_at(now)
        found = cards.card(device, self.bases[device], self.fleet.devices[device], now)
        if spark:
            found["spark"] = node.series.spark(cards.SPARK)
        return found

    def newer(self, number: int) -> list[str]:
        """Return the devices whose cards have changed since `number`, the latest first."""
        found = []
        for device in reversed(self.changed):
            if self.changed[device] <= number:
                break
            found.append(device)
        return found

    def detail(self, device: str, *, trend: bool = False) -> dict[str, Any]:
        """Return a device that is known in detail, with how its health was before where wanted."""
        registered = self.known.registry.devices.get(device)
        ends = self.known.ends(registered.certificates) if registered else None
        found = cards.detail(device, self.fleet.devices[device], self.nodes[device], ends)
        if trend:
            found["trend"] = cards.trend(self.nodes[device])
        return found
