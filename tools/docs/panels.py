"""What is on the dashboard for Grafana: its rows and panels, and what each asks Prometheus.

Ids are given here, as links and people's own alerts hold on to them. A fleet may have thousands of
devices: no panel has more than $most lines of them, and which ones is decided once for the range,
not anew at each of its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from limpet.heard.trouble import TROUBLES

# So many lines of devices, and what else a person may choose.
MOST = (10, 5, 20, 50)
CHOSEN = '{site=~"$site", zone=~"$zone", device=~"$device"}'
_ON = "on (job, instance, device)"
_IS_CHOSEN = f"and {_ON} limpet_device_info{CHOSEN}"
# A node says its counts each 300 s: a shorter window has one of them, or none.
_WINDOW = "15m"


class Query(NamedTuple):
    """What is asked, and how its lines are called; in a table, the title of its column."""

    expr: str
    legend: str = "{{device}}"


class Panel(NamedTuple):
    """A panel. text: what a person should know of it. kind: lines, stack, numbers or table. unit:
    as Grafana calls it; units: those of a table's columns. width: of 24. limits: from where on it
    is yellow, and red. per: a variable, for each of whose values there is one. whole: the value
    that is all.
    """

    id: int
    title: str
    text: str
    queries: Sequence[Query]
    kind: str = "lines"
    unit: str = "short"
    width: int = 12
    limits: tuple[float, float] | None = None
    per: str | None = None
    units: tuple[tuple[str, str], ...] = ()
    whole: float | None = None


class Row(NamedTuple):
    """A row of panels. folded: it is opened by who wants to see it, and asks nothing until then."""

    id: int
    title: str
    panels: Sequence[Panel]
    folded: bool = True


def of(metric: str) -> str:
    """Return a metric of the devices that are chosen."""
    return f"{metric} {_IS_CHOSEN}"


def most(shown: str, ranked: str, how: str = "topk") -> str:
    """Return what is shown of the $most chosen devices that `ranked` puts first; it counts as it is
    at the range's end.
    """
    return f"{shown} and {_ON} {how}($most, {ranked} {_IS_CHOSEN} @ end())"


def highest(gauge: str) -> str:
    """Return a gauge of those that were highest in the range."""
    return most(gauge, f"max_over_time({gauge}[$__range] @ end())")


def lowest(gauge: str) -> str:
    """Return a gauge of those that were lowest in the range."""
    return most(gauge, f"min_over_time({gauge}[$__range] @ end())", "bottomk")


def grown(counter: str) -> str:
    """Return how much a counter grew in 15 minutes, of those that grew most in the range."""
    return most(f"increase({counter}[{_WINDOW}])", f"increase({counter}[$__range] @ end())")


def spread(gauge: str) -> list[Query]:
    """Return how a gauge is spread over all devices that are chosen."""
    names = {"0": "lowest", "0.1": "10 %", "0.5": "median", "0.9": "90 %", "1": "highest"}
    return [Query(f"quantile({q}, {of(gauge)})", name) for q, name in names.items()]


def by_device(expr: str) -> str:
    """Return it with no other label, so that a table can put it beside others."""
    return f"max by (device) ({expr})"


def placed(metric: str, labels: str = "") -> str:
    """Return a metric of the chosen devices with their places, and these of its own labels."""
    places = f"{_ON} group_left (site, zone) limpet_device_info{CHOSEN}"
    return f"max by (device, site, zone{labels}) ({metric} * {places})"


def rate(counter: str) -> str:
    """Return how fast a counter of the broker or the exporter grows, each second."""
    return f"rate({counter}[$__rate_interval])"


_AGO = "(time() - (limpet_last_seen_timestamp_seconds > 0))"
_COUNTS = [
    Query(f"count(({of('limpet_trouble_number')}) == {rank}) or vector(0)", what)
    for rank, what in enumerate(TROUBLES.values())
]
_LOSSES = "limpet_connection_losses_total"
_INFO = f"max by (device, site, zone, type, firmware) (limpet_device_info{CHOSEN})"


def _losses(window: str, at: str = "") -> str:
    return f"sum by (job, instance, device) (increase({_LOSSES}[{window}]{at}))"


FLEET = Row(
    1,
    "Fleet",
    [
        Panel(2, "Now", "How many devices are how, the worst first.", _COUNTS, "numbers", width=24),
        Panel(
            3,
            "The worst first",
            "All that are chosen. A device without a `seen` has said nothing since the exporter "
            "began.",
            [
                Query(by_device(of("limpet_trouble_number")), "trouble"),
                Query(_INFO, ""),
                Query(by_device(of(_AGO)), "seen"),
                Query(by_device(of("limpet_queued_readings")), "queue"),
                Query(by_device(of("limpet_dropped_readings_total")), "given up"),
                Query(f"sum by (device) ({of(_LOSSES)})", "losses"),
                Query(by_device(of("limpet_heap_free_bytes")), "heap"),
                Query(by_device(of("limpet_wifi_signal_dbm")), "Wi-Fi"),
            ],
            "table",
            width=24,
            units=(("seen", "s"), ("heap", "bytes"), ("Wi-Fi", "dBm")),
        ),
        Panel(
            4,
            "Silent",
            "They say that they are online, and nothing came for three of their intervals.",
            [
                Query(placed("(limpet_trouble_number == 0)"), "trouble"),
                Query(placed(f"({_AGO} and {_ON} limpet_trouble_number == 0)"), "seen"),
            ],
            "table",
            units=(("seen", "s"),),
        ),
        Panel(
            5,
            "Alerts",
            "What devices have raised and not cleared: docs/reference/alerts.md.",
            [Query(placed("limpet_alert_raised", ", alert"), "")],
            "table",
        ),
        Panel(6, "Over time", "How many devices were how.", _COUNTS, "stack"),
        Panel(
            7,
            "Prometheus's alerts",
            "Those of limpet-alerts.yml that fire.",
            [
                Query(
                    'max by (alertname, severity, device) (ALERTS{alertname=~"Limpet.*", '
                    'alertstate="firing"})',
                    "",
                )
            ],
            "table",
        ),
    ],
    folded=False,
)
FIELDS = Row(
    10,
    "Fields",
    [
        Panel(
            11,
            "$field",
            "Of the devices that were highest.",
            [Query(highest('limpet_field{field=~"$field"}'), "{{device}} {{field}}")],
            per="field",
        ),
        Panel(
            12,
            "$field, all devices",
            "How it is spread over all that are chosen.",
            [
                Query(query.expr, f"{query.legend} $field")
                for query in spread('limpet_field{field=~"$field"}')
            ],
            per="field",
        ),
    ],
    folded=False,
)
DELIVERY = Row(
    20,
    "Delivery",
    [
        Panel(
            21,
            "Readings that wait",
            "On a device, or on their way. More and more: it measures faster than it can send.",
            [Query(highest("limpet_queued_readings"))],
        ),
        Panel(
            22,
            "Readings given up in 15 minutes",
            "The queue of the device was full.",
            [Query(grown("limpet_dropped_readings_total"))],
        ),
        Panel(
            23,
            "Readings not heard",
            "Of its last boot, by the exporter in this connection; `limpet ingest --report` knows "
            "what is really missing.",
            [Query(highest("limpet_missing_readings"))],
        ),
        Panel(
            24,
            "Age of the last Reading",
            "From when it was measured. A backlog makes it jump.",
            [
                Query(
                    most(
                        "time() - limpet_reading_timestamp_seconds",
                        "time() - limpet_reading_timestamp_seconds @ end()",
                    )
                )
            ],
            unit="s",
        ),
        Panel(
            25,
            "Measurements a second",
            "Of all that are chosen: taken, and those of which a sensor gave nothing.",
            [
                Query(f"sum({of(f'rate(limpet_measurements_total[{_WINDOW}])')})", "taken"),
                Query(f"sum({of(f'rate(limpet_failed_measurements_total[{_WINDOW}])')})", "failed"),
            ],
        ),
        Panel(
            26,
            "Failed measurements in 15 minutes",
            "Of the sensors of a device.",
            [Query(grown("limpet_failed_measurements_total"))],
        ),
    ],
    folded=False,
)
CONNECTIONS = Row(
    30,
    "Connections",
    [
        Panel(
            31,
            "Lost in 15 minutes, by cause",
            "Of all that are chosen: docs/reference/causes.md.",
            [
                Query(
                    f"sum by (cause) ({of(f'increase({_LOSSES}[{_WINDOW}])')})",
                    "{{cause}}",
                )
            ],
            "stack",
        ),
        Panel(
            32,
            "Lost in 15 minutes, by device",
            "More than ten are a reconnect storm.",
            [Query(most(_losses(_WINDOW), _losses("$__range", " @ end()")))],
        ),
        Panel(
            33,
            "TLS handshakes, all devices",
            "What the last one took.",
            spread("limpet_tls_handshake_seconds"),
            unit="s",
        ),
        Panel(
            34,
            "TLS handshakes, the slowest",
            "What the last one took.",
            [Query(highest("limpet_tls_handshake_seconds"))],
            unit="s",
        ),
        Panel(
            35,
            "Wi-Fi, all devices",
            "Below -80 dBm connections are lost.",
            spread("limpet_wifi_signal_dbm"),
            unit="dBm",
        ),
        Panel(
            36,
            "Wi-Fi, the weakest",
            "Below -80 dBm connections are lost.",
            [Query(lowest("limpet_wifi_signal_dbm"))],
            unit="dBm",
        ),
        Panel(
            37,
            "MQTT pings, the slowest",
            "From the ping to its answer.",
            [Query(highest("limpet_ping_seconds"))],
            unit="s",
        ),
        Panel(
            38,
            "Connections of this boot",
            "Each is one more.",
            [Query(highest("limpet_session_number"))],
        ),
    ],
)
DEVICES = Row(
    40,
    "Devices",
    [
        Panel(
            41,
            "Heap, the least free",
            "MicroPython's own.",
            [Query(lowest("limpet_heap_free_bytes"))],
            unit="bytes",
        ),
        Panel(
            42,
            "Heap, all devices",
            "Free in MicroPython's.",
            spread("limpet_heap_free_bytes"),
            unit="bytes",
        ),
        Panel(
            43,
            "Heap, the least at any health of the boot",
            "MicroPython's own.",
            [Query(lowest("limpet_heap_free_min_bytes"))],
            unit="bytes",
        ),
        Panel(
            44,
            "The chip's own heap",
            "Free, and the longest free piece: a TLS handshake needs one.",
            [
                Query(lowest("limpet_chip_heap_free_bytes"), "{{device}} free"),
                Query(lowest("limpet_chip_heap_largest_bytes"), "{{device}} longest"),
            ],
            unit="bytes",
        ),
        Panel(
            45,
            "Since boot",
            "Of those that started last.",
            [Query(lowest("limpet_uptime_seconds"))],
            unit="s",
        ),
        Panel(
            46,
            "Boots in 15 minutes",
            "Of those that start most often.",
            [Query(grown("limpet_boots_total"))],
        ),
        Panel(
            47,
            "Refused by flash in 15 minutes",
            "Writes and reads.",
            [Query(grown("limpet_flash_errors_total"))],
        ),
        Panel(
            48,
            "Exceptions that nobody expected, in 15 minutes",
            "Each is a bug: report it.",
            [Query(grown("limpet_bugs_total"))],
        ),
    ],
)
CERTIFICATES = Row(
    50,
    "Certificates",
    [
        Panel(
            51,
            "Of devices",
            "How long the last that was issued is good, the shortest first.",
            [
                Query(
                    "bottomk(50, "
                    + placed("(limpet_certificate_expiry_timestamp_seconds - time())")
                    + ")",
                    "left",
                )
            ],
            "table",
            units=(("left", "s"),),
        ),
        Panel(
            52,
            "Of programs",
            "How long the last that was issued is good, the shortest first.",
            [
                Query(
                    "max by (consumer) "
                    "(limpet_consumer_certificate_expiry_timestamp_seconds - time())",
                    "left",
                )
            ],
            "table",
            units=(("left", "s"),),
        ),
    ],
)


def _share(of_: str, limit: str) -> str:
    return f"limpet_broker_{of_} / limpet_broker_{limit}"


BROKER = Row(
    60,
    "Broker",
    [
        Panel(
            61,
            "How full it is",
            "Of the limits that it is held to: from 80 % on write its files for a larger fleet, "
            "from 95 % on devices are turned away.",
            [
                Query(_share("connections", "connections_limit"), "connections"),
                Query(_share("memory_bytes", "memory_limit_bytes"), "memory"),
            ],
            unit="percentunit",
            limits=(0.8, 0.95),
            whole=1,
        ),
        Panel(
            62,
            "Connections",
            "Clients, and how many there may be.",
            [
                Query("limpet_broker_connections", "clients"),
                Query("limpet_broker_connections_limit", "limit"),
            ],
        ),
        Panel(
            63,
            "Memory",
            "What it takes, and what it may.",
            [
                Query("limpet_broker_memory_bytes", "memory"),
                Query("limpet_broker_memory_limit_bytes", "limit"),
            ],
            unit="bytes",
        ),
        Panel(
            64,
            "Messages a second",
            "From clients, and to them.",
            [
                Query(rate("limpet_broker_received_messages_total"), "from clients"),
                Query(rate("limpet_broker_sent_messages_total"), "to clients"),
            ],
        ),
        Panel(
            65,
            "Messages that are kept",
            "Retained ones; and those that wait for who is slow or away.",
            [
                Query("limpet_broker_retained_messages", "retained"),
                Query("limpet_broker_waiting_messages", "waiting"),
            ],
        ),
        Panel(
            66,
            "Lost and refused, a second",
            "Messages that did not fit a queue; logins that were refused.",
            [
                Query(rate("limpet_broker_dropped_messages_total"), "Messages dropped"),
                Query(rate("limpet_broker_refused_logins_total"), "logins refused"),
            ],
        ),
        Panel(
            67,
            "Since its start",
            "",
            [Query("limpet_broker_uptime_seconds", "uptime")],
            unit="s",
        ),
    ],
)


def _own(metric: str) -> str:
    """Return a metric that every target has, of the exporter's alone."""
    return f"{metric} and on (job, instance) limpet_broker_up"


EXPORTER = Row(
    70,
    "Exporter",
    [
        Panel(
            71,
            "Connection",
            "1: Prometheus reaches the exporter; the exporter is connected to the broker.",
            [
                Query(_own("up"), "scraped"),
                Query("limpet_broker_up", "broker"),
            ],
            whole=1,
        ),
        Panel(
            72,
            "Not taken, a second",
            "Messages or parts of them: unknown-device of who is in no registry. Fields beyond 32 "
            "of a device, or 200 of the fleet.",
            [
                Query(rate("limpet_rejected_messages_total"), "{{reason}}"),
                Query(rate("limpet_ignored_fields_total"), "fields"),
            ],
        ),
        Panel(
            73,
            "Connections to the broker",
            "Each is one more.",
            [Query("limpet_broker_connects_total", "connections")],
        ),
        Panel(
            74,
            "Devices of the registry",
            "Those that are let in.",
            [Query("limpet_devices", "devices")],
        ),
        Panel(
            75,
            "CPU",
            "Of a core.",
            [Query(_own(rate("process_cpu_seconds_total")), "exporter")],
            unit="percentunit",
        ),
        Panel(
            76,
            "Memory",
            "Of the exporter.",
            [Query(_own("process_resident_memory_bytes"), "exporter")],
            unit="bytes",
        ),
    ],
)
ROWS = (FLEET, FIELDS, DELIVERY, CONNECTIONS, DEVICES, CERTIFICATES, BROKER, EXPORTER)
