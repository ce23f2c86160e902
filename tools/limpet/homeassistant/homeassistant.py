"""`limpet homeassistant`: tells Home Assistant which devices there are, and when that changes."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.listening import listen
from limpet.homeassistant import entry, guide
from limpet.homeassistant.announcing import Announcer, dropped
from limpet.ingest import options
from limpet.ingest.asked import Wanted
from limpet.ingest.consumer import Consumer
from limpet.ingest.job import held
from limpet.shared.firmware import topics
from limpet.shared.plain import plural
from limpet.shared.problem import Problem, there_is
from limpet.shared.progress import Line

NAME = "homeassistant"
ROLE = "discovery"
_SUFFIXES = (
    topics.TELEMETRY,
    topics.BACKLOG,
    topics.STATUS,
    topics.HEALTH,
    topics.ALERTS,
    topics.RESPONSE,
)
# With --once and --print: for what devices say by themselves, and then for the broker.
LISTEN_S = 15.0
_SAY_S = 60.0
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+){0,2}")


@Parameter(name="*")
@dataclass(frozen=True)
class Source(options.Source):
    """Which fleet, and who we are to its broker."""

    name: Annotated[str, Parameter(name="--as")] = NAME
    """Name of that identity; it is good for one program at a time."""


def homeassistant(
    *,
    setup: Annotated[bool, Parameter(negative=())] = False,
    once: Annotated[bool, Parameter(negative=())] = False,
    clear: Annotated[bool, Parameter(negative=())] = False,
    show: Annotated[str | None, Parameter(name="--print")] = None,
    prefix: str = entry.PREFIX,
    registry: Path | None = None,
    source: Source | None = None,
) -> int:
    """Tell Home Assistant which devices there are, until Ctrl-C.

    Each device of the registry that was ever heard is one in Home Assistant, with all that it
    measures, its health, and what it can be told to do. A device that leaves the registry is taken
    out.

    Parameters
    ----------
    setup
        Print what is entered in Home Assistant, and do no more.
    once
        Listen for 15 s, have the broker retain what is due, and end.
    clear
        Take all devices out of Home Assistant, and end.
    show
        Print what is published for this device, and publish nothing.
    prefix
        Home Assistant's discovery prefix. The rules of `limpet broker-config` know the default
        alone.
    registry
        The registry, or a copy of it [default: the fleet's broker/devices.json, else devices.json
        beside the identity].
    """
    if not _PREFIX.fullmatch(prefix) or len(prefix) > 64:
        raise Problem(f"--prefix: {prefix!r} is none.", "Such as homeassistant.")
    asked = source or Source()
    fleet = options.fleet_of(asked, needed=True)
    if fleet is None and registry is None and asked.identity:
        registry = asked.identity / "devices.json"
    to_print = show is not None

    def say(text: str) -> None:
        print(f"limpet homeassistant: {text}", file=sys.stderr if to_print else None, flush=True)

    known = Known(fleet, registry, say)
    if setup:
        if fleet is None:
            raise Problem("Without a fleet there is nothing to print.", "Give --fleet.")
        print(guide.text(known.layout, prefix))
        return 0
    if show is not None and show not in known.refresh():
        raise Problem(f"There is no device {show!r}.", there_is(known.refresh(), show))
    wanted = options.filters(asked, known.layout, _SUFFIXES)
    address = options.address_of(asked, fleet, asked.name, f"--role {ROLE}")
    organisations = {each.split("/")[0] for each in wanted}
    announcer = Announcer(Fleet(known.refresh(), time.time()), known, prefix, organisations, say)
    filters = Wanted((*wanted, *announcer.topics), optional=announcer.topics, kept=False)
    consumer = announcer.consumer = Consumer(address, filters, say)
    try:
        with held(address.key):
            if show is not None:
                return _print(announcer, consumer, prefix, show)
            if once or clear:
                announcer.clears = clear
                return _once(announcer, consumer, 0.0 if clear else LISTEN_S)
            many = plural(len(announcer.fleet.devices), "device")
            say(f"{many}; Ctrl-C ends it")
            listen(consumer, announcer, _going(announcer))
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # after the terminal's ^C
    finally:
        consumer.close()
    return 0


def _going(announcer: Announcer) -> Callable[[], bool]:
    def ended() -> bool:
        announcer.step()
        return False

    return ended


def _print(announcer: Announcer, consumer: Consumer, prefix: str, name: str) -> int:
    """Print the entry of one device."""
    fleet, began = announcer.fleet, time.monotonic()
    line = Line(f"Listening to {name}", sys.stderr)

    def ended() -> bool:
        waited = time.monotonic() - began
        line.say("")
        known = fleet.devices.get(name)
        return waited > LISTEN_S or bool(
            announcer.settled(time.time()) and known and known.fields and known.health
        )

    listen(consumer, announcer, ended)
    line.end()
    base = announcer.known.refresh()[name]
    device = announcer.entries.device(name, base, fleet.devices[name], math.inf)
    if device is None:
        raise Problem(
            f"Nothing was heard of {name}, so Home Assistant is not told of it.",
            "Is it on? See limpet fleet show.",
        )
    payload, _ = entry.entry(prefix, name, device)
    print(entry.entry_topic(prefix, name), file=sys.stderr)
    print(json.dumps(json.loads(payload), indent=2, ensure_ascii=False))
    return 0


def _once(announcer: Announcer, consumer: Consumer, listen_s: float) -> int:
    """Say what is due after a while, and wait until the broker has it."""
    began = time.monotonic()
    line = Line("Listening to the devices" if listen_s else "Asking what is there")

    def heard() -> bool:
        waited = time.monotonic() - began
        line.say("")
        return waited > listen_s and announcer.settled(time.time())

    listen(consumer, announcer, heard)
    line.end()
    limit = time.monotonic() + _SAY_S

    def ended() -> bool:
        announcer.step()
        now = time.time()
        if topic := announcer.entries.dropped(now):
            raise dropped(topic)
        told = announcer.at_rest(now) and not announcer.entries.unheard
        return told or time.monotonic() > limit

    listen(consumer, announcer, ended)
    if not announcer.at_rest(time.time()):
        raise Problem("The broker has not taken all of it.", "See limpet health, and try again.")
    print(f"{plural(announcer.told, 'Message')} published")
    return 0
