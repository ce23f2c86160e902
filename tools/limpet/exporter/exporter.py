"""`limpet exporter`: what the fleet and its broker say, for Prometheus to scrape."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.brokers.rules import BROKER_FIGURES
from limpet.ingest import options
from limpet.ingest.asked import Wanted
from limpet.ingest.consumer import Consumer
from limpet.ingest.job import held
from limpet.shared.firmware import more_brokers, topics
from limpet.shared.paths import ALERTS, DASHBOARD
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

NAME = "exporter"
LISTEN = "127.0.0.1:9883"
# What the broker refuses for good ends it: where the metrics are is not said before, or so long.
_SETTLE_S = 3.0
_SUFFIXES = (topics.TELEMETRY, topics.BACKLOG, topics.STATUS, topics.HEALTH, topics.ALERTS)


@Parameter(name="*")
@dataclass(frozen=True)
class Source(options.Source):
    """Which fleet, and who we are to its broker."""

    name: Annotated[str, Parameter(name="--as")] = NAME
    """Name of that identity; it is good for one program at a time."""


def exporter(
    *,
    listen: str = LISTEN,
    registry: Path | None = None,
    figures: str | None = None,
    source: Source | None = None,
    rules: Annotated[bool, Parameter(negative=())] = False,
    dashboard: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Show Prometheus what the nodes and the broker say, until Ctrl-C.

    Fields of the last Reading, when each device was last seen, its queue, memory, reconnects by
    cause and certificate; the broker's own figures with their limits. Only devices of the registry
    have metrics of their own.

    Parameters
    ----------
    listen
        Where Prometheus finds it: HOST:PORT. There is neither password nor TLS.
    registry
        The registry, or a copy of it [default: the fleet's broker/devices.json, else devices.json
        beside the identity].
    figures
        Where RabbitMQ or NATS shows its figures by HTTP, such as http://127.0.0.1:8222 [default: on
        this machine, where the fleet's broker files have it; mosquitto's come by MQTT].
    rules
        Print alert rules for Prometheus, and do no more.
    dashboard
        Print a dashboard for Grafana, and do no more.
    """
    if rules and dashboard:
        raise Problem("--rules and --dashboard are two files.", "Ask for one at a time.")
    if rules or dashboard:
        print((ALERTS if rules else DASHBOARD).read_text("utf-8"), end="")
        return 0
    # prometheus_client is an extra.
    from limpet.exporter.broker import Figures
    from limpet.exporter.metrics import State
    from limpet.exporter.metrics import registry as registry_of
    from limpet.exporter.serving import Serving
    from limpet.heard.fleet import Fleet
    from limpet.heard.known import Known
    from limpet.heard.listening import listen as hear

    def say(text: str) -> None:
        print(f"limpet exporter: {text}", flush=True)

    asked = source or Source()
    host, port = _place(listen)
    fleet = options.fleet_of(asked, needed=True)
    if fleet is None and registry is None and asked.identity:
        registry = asked.identity / "devices.json"
    known = Known(fleet, registry, say)
    wanted = options.filters(asked, known.layout, _SUFFIXES)
    address = options.address_of(asked, fleet, asked.name)
    state = State(Fleet(known.refresh(), time.time()), known, Figures(known, figures, say))
    consumer = Consumer(
        address,
        Wanted((*wanted, BROKER_FIGURES), optional=(BROKER_FIGURES,), kept=False),
        say,
    )
    try:
        with held(address.key), Serving(registry_of(state), host, port) as serving:
            many = plural(len(state.fleet.devices), "device")
            where = [f"metrics of {many} at {serving.url}; Ctrl-C ends it"]
            limit = time.monotonic() + _SETTLE_S

            def told() -> bool:
                if where and (consumer.connects or time.monotonic() > limit):
                    say(where.pop())
                return False

            state.figures.start()
            hear(consumer, state, told)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # after the terminal's ^C
    finally:
        state.figures.end()
        consumer.close()
    return 0


def _place(listen: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; raises Problem."""
    ((host, port),) = more_brokers.split([listen], -1)
    wrong = f"--listen: {listen!r} is no address with a port."
    # What is no port is 0 to `split`, and 0 is any that is free.
    if not host or port < 0 or port > 65535 or (port == 0 and not listen.endswith(":0")):
        raise Problem(wrong, f"Such as {LISTEN}, [::1]:9883, or 0.0.0.0:9883 for all to read.")
    return host, port
