"""What was heard as Prometheus's metrics, with names, units and help of their own.

The set of names is fixed, and so is that of the labels: a device that says something new brings
at most one more value of `field`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from limpet.exporter.broker import Figures, limits
from limpet.heard.fleet import OTHER, Fleet, Heard
from limpet.heard.known import Known
from limpet.heard.listening import Hearing
from limpet.heard.trouble import TROUBLES, rank
from limpet.ingest.consumer import Message
from limpet.shared.payloads import BASE_LEVELS
from limpet.shared.seen_readings import UNITS

# What the last word of a field's name says, as Prometheus calls units.
_UNITS = {"°C": "celsius", "%": "percent", "hPa": "hectopascals", "V": "volts"}

# Different alerts in one fleet: nodes have a few, and one for each sensor with a name.
MAX_ALERT_NAMES = 100

_Family = CounterMetricFamily | GaugeMetricFamily
Value = Callable[[Heard], float | None]


class _Of(NamedTuple):
    """A metric of a device: name without `limpet_`, help, value, and whether it only grows."""

    name: str
    text: str
    value: Value
    counts: bool = False


def _health(name: str, divisor: float = 1) -> Value:
    def value(heard: Heard) -> float | None:
        found = heard.health.get(name)
        return None if found is None else found / divisor

    return value


def _reading_time(heard: Heard) -> float | None:
    return heard.reading.ts if heard.reading else None


_DEVICE = (
    _Of(
        "last_seen_timestamp_seconds",
        "When anything last came from the device; 0: nothing has since the exporter began.",
        lambda heard: heard.seen,
    ),
    _Of(
        "online",
        "1 where the device's status says online or asleep, 0 where it says offline.",
        lambda heard: float(heard.status != "offline") if heard.status else None,
    ),
    _Of("reading_timestamp_seconds", "When its last Reading was measured.", _reading_time),
    _Of(
        "missing_readings",
        "Readings of its last boot between the first and the last heard that were not heard.",
        lambda heard: heard.missing() if heard.reading else None,
    ),
    _Of(
        "boots_total",
        "The number of its boot: each is one more, the first may be any.",
        lambda heard: heard.boot,
        True,
    ),
    _Of(
        "session_number",
        "Connections of the device in this boot.",
        lambda heard: heard.session or None,
    ),
    _Of("uptime_seconds", "Since the device's boot.", _health("up")),
    _Of("reading_interval_seconds", "From one Reading to the next.", _health("interval_s")),
    _Of(
        "queued_readings",
        "Readings that wait on the device or are on their way.",
        _health("queued"),
    ),
    _Of(
        "dropped_readings_total",
        "Readings that the device's full queue had to give up.",
        _health("dropped"),
        True,
    ),
    _Of("measurements_total", "Readings that the sensors gave, this boot.", _health("reads"), True),
    _Of(
        "failed_measurements_total",
        "Reads of a sensor that gave nothing, this boot.",
        lambda heard: heard.read_errors if heard.health else None,
        True,
    ),
    _Of("heap_free_bytes", "Free in MicroPython's heap.", _health("heap")),
    _Of(
        "heap_free_min_bytes", "The least of that at any health of this boot.", _health("heap_min")
    ),
    _Of("chip_heap_free_bytes", "Free in the chip's own heap.", _health("idf")),
    _Of("chip_heap_largest_bytes", "The longest free piece of that.", _health("idf_largest")),
    _Of(
        "tls_handshake_seconds",
        "What the last TLS handshake took.",
        _health("handshake_ms", 1000),
    ),
    _Of("ping_seconds", "What the last MQTT ping took.", _health("ping_ms", 1000)),
    _Of("wifi_signal_dbm", "Strength of the device's Wi-Fi.", _health("rssi")),
    _Of(
        "flash_errors_total",
        "What the device's flash refused, this boot.",
        _health("flash_errors"),
        True,
    ),
    _Of("bugs_total", "Exceptions that nobody expected, this boot.", _health("bugs"), True),
)

# What a broker says of itself, by the name in figures.Numbers, and whether it only grows.
_BROKER = (
    ("connections", "connections", "Clients that are connected.", False),
    ("memory", "memory_bytes", "Memory of the broker.", False),
    ("retained", "retained_messages", "Messages that are retained.", False),
    ("waiting", "waiting_messages", "Messages held for who is slow or away.", False),
    ("dropped", "dropped_messages_total", "Messages that did not fit a queue.", True),
    ("sent", "sent_messages_total", "Messages to clients.", True),
    ("received", "received_messages_total", "Messages from clients.", True),
    ("refused", "refused_logins_total", "Logins that the broker refused.", True),
    ("uptime_s", "uptime_seconds", "Since the broker's start.", False),
)


class State(Hearing):
    """What the metrics are made of. Whoever changes it holds `lock`."""

    def __init__(self, fleet: Fleet, known: Known, figures: Figures) -> None:
        super().__init__(fleet, known)
        self.figures = figures
        self._alerts: set[str] = set()

    def take(self, message: Message, now: float) -> None:
        """Note a Message, of a device or of the broker. now: Unix seconds."""
        if message.topic and message.topic.startswith("$"):
            self.figures.take(message.topic, message.payload)
        else:
            super().take(message, now)

    def alert(self, name: str) -> str:
        """Return an alert's name as a label: `other` where the fleet has said too many."""
        if name not in self._alerts:
            if len(self._alerts) >= MAX_ALERT_NAMES:
                return OTHER
            self._alerts.add(name)
        return name

    def lost(self) -> None:
        """The connection has ended: what the broker said is of before."""
        self.figures.gone()


class Metrics(Collector):
    """Asked by prometheus_client at each scrape, by any thread."""

    def __init__(self, state: State) -> None:
        self._state = state

    def describe(self) -> Iterable[Metric]:
        """Return none: the names are known only when they are asked for."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Return all of them."""
        state = self._state
        with state.lock:
            return [*_exporter(state), *_devices(state), *_certificates(state), *_broker(state)]


def registry(state: State) -> CollectorRegistry:
    """Return what prometheus_client serves: the state, and this process's CPU and memory."""
    found = CollectorRegistry()
    found.register(Metrics(state))
    ProcessCollector(registry=found)
    return found


def _family(name: str, text: str, labels: Iterable[str], counts: bool = False) -> _Family:
    kind = CounterMetricFamily if counts else GaugeMetricFamily
    return kind(f"limpet_{name}", text, labels=list(labels))


def _one(name: str, text: str, value: float, counts: bool = False) -> Metric:
    made = _family(name, text, (), counts)
    made.add_metric([], value)
    return made


def _exporter(state: State) -> Iterator[Metric]:
    fleet = state.fleet
    yield _one("broker_up", "1 while the exporter is connected to the broker.", float(state.up))
    yield _one(
        "broker_connects_total", "Connections of the exporter to the broker.", state.connects, True
    )
    yield _one("devices", "Devices of the registry that are let in.", len(fleet.devices))
    made = _family(
        "rejected_messages_total",
        "Messages, or parts of them, that were not taken: unknown-device of who is in no registry.",
        ["reason"],
        True,
    )
    for reason, count in sorted(fleet.rejected.items()):
        made.add_metric([reason], count)
    if "unknown-device" not in fleet.rejected:  # so that a rate of it is 0, and not nothing
        made.add_metric(["unknown-device"], 0)
    yield made
    yield _one(
        "ignored_fields_total",
        "Fields that were left out: more than 32 names of a device, or 200 of the fleet.",
        fleet.ignored_fields,
        True,
    )


def _devices(state: State) -> Iterator[Metric]:
    devices = state.fleet.devices
    for of in _DEVICE:
        made = _family(of.name, of.text, ["device"], of.counts)
        for device, heard in devices.items():
            if (value := of.value(heard)) is not None:
                made.add_metric([device], value)
        yield made
    yield _troubles(state)
    yield _info(state)
    yield _fields(devices)
    yield _alerts(state)
    yield _losses(devices)


def _troubles(state: State) -> Metric:
    named = ", ".join(f"{rank} {what}" for rank, what in enumerate(TROUBLES.values()))
    made = _family("trouble_number", f"How the device is, the worst first: {named}.", ["device"])
    at = state.judged_at(time.time())
    for device, heard in state.fleet.devices.items():
        made.add_metric([device], rank(heard, at))
    return made


def _alerts(state: State) -> Metric:
    text = "1 for each alert that the device has raised, and not cleared."
    made = _family("alert_raised", text, ["device", "alert"])
    for device, heard in state.fleet.devices.items():
        for name in sorted({state.alert(each) for each in heard.alerts}):
            made.add_metric([device, name], 1)
    return made


def _info(state: State) -> Metric:
    labels = ["device", "site", "zone", "type", "firmware"]
    made = _family(
        "device_info", "Where the device is by the registry, and what runs on it.", labels
    )
    registered = state.known.registry.devices
    for device, heard in state.fleet.devices.items():
        if known := registered.get(device):
            levels = [*known.base.split("/"), *[""] * BASE_LEVELS]
            made.add_metric([device, *levels[1:4], heard.firmware], 1)
    return made


def _fields(devices: dict[str, Heard]) -> Metric:
    text = "The fields of the device's last Reading; one that could not be read is not there."
    made = _family("field", text, ["device", "field", "unit"])
    for device, heard in devices.items():
        values = heard.reading.values if heard.reading else {}
        for name, value in values.items():
            if value is not None and name in heard.fields:
                made.add_metric([device, name, unit(name)], value)
    return made


def unit(field: str) -> str:
    """Return what a field is in, by the last word of its name; empty where that is not known."""
    return _UNITS.get(UNITS.get(field.rpartition("_")[2], ""), "")


def _losses(devices: dict[str, Heard]) -> Metric:
    text = "Connections that ended, or did not come about, this boot: docs/reference/causes.md."
    made = _family("connection_losses_total", text, ["device", "cause"], True)
    for device, heard in devices.items():
        for cause, count in sorted(heard.losses.items()):
            made.add_metric([device, cause], count)
    return made


def _certificates(state: State) -> Iterator[Metric]:
    known = state.known
    text = "Until when the {} last certificate is good, by the registry."
    registered = known.registry
    devices = {name: registered.devices.get(name) for name in state.fleet.devices}
    for label, whose, owners in (
        ("device", "device's", devices),
        ("consumer", "program's", registered.consumers),
    ):
        name = f"{'' if label == 'device' else 'consumer_'}certificate_expiry_timestamp_seconds"
        made = _family(name, text.format(whose), [label])
        for owner, entry in owners.items():
            end = known.ends(entry.certificates) if entry else None
            if end is not None:
                made.add_metric([owner], end)
        yield made


def _broker(state: State) -> Iterator[Metric]:
    numbers = state.figures.numbers()
    if not numbers.said():
        return
    said = asdict(numbers)
    for key, name, text, counts in _BROKER:
        if said[key] is not None:
            yield _one(f"broker_{name}", text, said[key], counts)
    held_to = limits(state.known, state.figures.kind)
    yield _one(
        "broker_connections_limit",
        "How many connections the broker is held to, by itself or by its files.",
        numbers.connections_limit or held_to.connections,
    )
    yield _one(
        "broker_memory_limit_bytes",
        "How much memory the broker is held to, by itself or by its files.",
        numbers.memory_limit or held_to.memory_bytes,
    )
