"""One real Message of each kind, made by the node's own code while the clock stands still.

The reference shows them, and takes the names of the fields from them: what is not in here is in no
payload.
"""

from __future__ import annotations

import json
import sys
import types
from types import SimpleNamespace as Given
from typing import Any, NamedTuple

from limpet.brokers.embedded import time_signal
from limpet.shared import firmware  # puts firmware/ on the path
from limpet.shared.paths import LIB

# What the node's pure modules take from MicroPython.
_micropython: Any = types.ModuleType("micropython")
_micropython.const = lambda value: value
sys.modules.setdefault("micropython", _micropython)
sys.path.append(str(LIB))

from node.commands import response  # noqa: E402
from node.readings import batches, layouts, telemetry  # noqa: E402
from node.reporting import alerts, health, status  # noqa: E402
from node.shared import reading  # noqa: E402

BASE = "limpet/home/desk/climate/node-1"
BOOT, TS, UP = 7, 1_790_000_000, 3600
RESET = "power-on"
_ONE = ("temperature", 1, "h"), ("humidity", 1, "h")
LAYOUT = layouts.of(_ONE)
TWO_SENSORS = layouts.of((*_ONE, ("outdoor_temperature", 2, "h")))


class Sample(NamedTuple):
    """A Message that a node has made, and what it is an example of."""

    what: str
    topic: str
    payload: dict[str, Any]
    text: str
    qos: int
    retain: bool


def _sample(what: str, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> Sample:
    text = payload.decode()
    return Sample(what, topic.removeprefix(BASE + "/"), json.loads(text), text, qos, retain)


def _next(what: str, source: Any) -> Sample:
    """What a source gives the Link."""
    source.peek(0)
    packet = bytearray()
    source.write(packet)
    return _sample(what, source.topic, bytes(packet), source.qos, isinstance(source, status.Status))


def _live(what: str, encode: Any, packed: bytearray) -> Sample:
    packet = bytearray()
    encode.write(packet, packed, 0, 0)
    return _sample(what, encode.topic, bytes(packet), encode.qos)


def _batch(what: str, encode: Any, packed: bytearray, count: int) -> Sample:
    packet = bytearray()
    batches.write(packet, encode, packed, count, 0, True)
    return _sample(what, encode.backlog, bytes(packet))


def _packed(encode: Any, values: list[tuple[int | None, ...]], unknown: bool = False) -> bytearray:
    buffer = bytearray(len(values) * encode.size)
    for i, each in enumerate(values):
        ts = None if unknown else TS + 10 * i
        taken = reading.Reading(BOOT, 42 + i, ts, UP + 10 * i, each)
        encode.pack_into(buffer, i * encode.size, taken)
    return buffer


def of_telemetry() -> list[Sample]:
    """A Reading of one sensor, of two, and one without a time."""
    one, two, unknown = _encoders()
    whole, failed = _packed(two, [(244, 463, 712)]), _packed(two, [(245, None, 706)])
    timeless = _packed(one, [(244, 463)], True)
    return [
        _live("A Reading", one, _packed(one, [(244, 463)])),
        _live("Of two sensors", two, whole),
        _live("A field could not be read", two, failed),
        _live("The time is not known", unknown, timeless),
    ]


def of_backlog() -> list[Sample]:
    """Batches, of one Reading too, and of a boot that never knew the time."""
    one, two, unknown = _encoders()
    late = _packed(two, [(244, 463, 712), (245, None, 706), (246, 463, 700)])
    timeless = _packed(one, [(244, 463), (245, 463)], True)
    return [
        _batch("Three that waited", two, late, 3),
        _batch("One alone", two, late, 1),
        _batch("The time is not known", unknown, timeless, 2),
    ]


def _encoders() -> tuple[Any, Any, Any]:
    """Of a node with one sensor, with two, and of one that never knew the time."""
    known, never = (Given(unix=lambda: TS, given_up=False), Given(unix=lambda: None, given_up=True))
    return (
        telemetry.Telemetry(BASE, 1, BOOT, known, LAYOUT),
        telemetry.Telemetry(BASE, 1, BOOT, known, TWO_SENSORS),
        telemetry.Telemetry(BASE, 1, BOOT, never, LAYOUT),
    )


def of_status() -> list[Sample]:
    """A birth with all that can be in one, the will, and a goodbye."""
    fw = ("fw", firmware.version.VERSION)
    facts = [fw, ("reset", "soft"), ("why", "memory"), ("mode", "safe"), ("broker", 2)]
    made: Any = status.Status(BASE, BOOT, lambda: 0, facts, Given(version=4))
    will = _sample("The will", made.topic, made.will(), made.qos, True)
    made.raised = [f"alert-{i}" for i in range(9)]
    made.up(0, {"s": 48, "cause": "tcp-timeout", "rejoins": 1})
    birth = _next("A birth after trouble", made)
    made.goodbye("reboot")
    short = status.Status(BASE, BOOT, lambda: 0, [fw, ("reset", RESET)], Given(version=1))
    short.will()
    short.up(0, None)
    return [
        _next("A birth", short),
        birth,
        will,
        _next("A goodbye", made),
    ]


def of_alerts() -> list[Sample]:
    """An alert that is raised, with its reason."""
    said: list[Any] = []
    messages = Given(put=lambda *message: said.append(message))
    store = Given(load=list, save=lambda pairs: None)
    known = Given(again=lambda: None, raised=[])
    made = alerts.Alerts(BASE, messages, lambda: TS, known, store)
    made.change("sensor-silent", True, ("reason", "silent"))
    made.change("sensor-silent", False)
    return [_sample("An alert is raised", *said[0]), _sample("It is over", *said[1])]


def of_health() -> list[Sample]:
    """A snapshot, as of a chip."""
    board = Given(
        clock=Given(unix=lambda: TS, now=lambda: UP * 1000),
        network=Given(rssi=lambda: -61),
        heap_free=lambda: 21_500,
        idf_heap=lambda: (48_200, 31_700, 22_900),
    )
    client = Given(handshake_took_ms=1130, ping_took_ms=21, oversized=0, refused_subscriptions=0)
    sampler = Given(reads=360, errors={"silent": 1}, interval_ms=10_000)
    live = Given(queued=1, dropped=0, errors=0)
    backlog = Given(queued=0, dropped=0, commits=4, errors=0, foreign=0)
    supervisor = Given(bugs=0, longest_ms=38)
    recovery = Given(downs={"tcp-timeout": 2})
    parts = client, sampler, live, backlog, supervisor, recovery
    made = health.Health(BASE, 300, board, parts)
    made.dropped = {}
    return [_next("The node about itself, on a chip", made)]


def of_responses() -> list[Sample]:
    """A Response of each kind."""
    said = {
        "It was carried out": response.executed("req-1", {"seconds": 30}, TS),
        "It was not": response.refused(
            "req-2", response.REJECTED, "bad-params", "seconds: a whole number, 2 to 86400", TS
        ),
    }
    topic = f"{BASE}/{firmware.topics.RESPONSE}"
    return [_sample(what, topic, text) for what, text in said.items()]


def of_time() -> Sample:
    """What `limpet broker` says of the time."""
    payload = json.loads(time_signal.payload()) | {"ts": TS}
    text = json.dumps(payload, separators=(",", ":"))
    return Sample("The time", "{org}/" + firmware.topics.TIME, payload, text, 0, False)


def everything() -> list[Sample]:
    """All of them."""
    return [
        *of_telemetry(),
        *of_backlog(),
        *of_status(),
        *of_health(),
        *of_alerts(),
        *of_responses(),
        of_time(),
    ]
