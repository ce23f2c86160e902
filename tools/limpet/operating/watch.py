"""`limpet watch`: what goes over the wire, like `mosquitto_sub -v`, with its meaning beside it.

Messages come in through a bounded queue; what does not fit is counted and said. Nothing is stored,
and no control character of a payload reaches a terminal.
"""

import os
import shutil
import sys
from typing import Annotated

from cyclopts import Parameter

from limpet.identity.layout import running
from limpet.operating.inbox import Inbox
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import SetupInfo, Where
from limpet.shared import ending, payloads
from limpet.shared.paths import RUN
from limpet.shared.plain import plural
from limpet.shared.problem import Problem
from limpet.shared.seen_readings import wrapped

# Faint, where a terminal can do that: the meaning is what the eye looks for.
_BELOW = "    "
DIM = "\x1b[2m{}\x1b[0m"


def lines(arrival: Arrival, columns: int, style: str = "{}") -> list[str]:
    """Return a Message as `topic payload  meaning`; what does not fit goes below, indented.

    style: a format for what has its meaning beside it.
    """
    first = f"{payloads.safe(arrival.topic)} {payloads.show(arrival.payload)}".rstrip()
    if arrival.retained:
        first += " (retained)"
    meaning = payloads.describe(arrival.topic, arrival.payload)
    styled = style.format(first) if meaning else first
    if len(meaning) == 1 and len(first) + 2 + len(meaning[0]) <= columns:
        return [f"{styled}  {meaning[0]}"]
    width = max(20, columns - len(_BELOW))
    return [styled, *(_BELOW + line for text in meaning for line in wrapped(text, width, _BELOW))]


def _print(arrival: Arrival, raw: bool) -> None:
    terminal = sys.stdout.isatty()
    if raw and not terminal:
        sys.stdout.buffer.write(arrival.topic.encode() + b" " + arrival.payload + b"\n")
        sys.stdout.buffer.flush()
    elif raw:
        print(payloads.safe(arrival.topic), payloads.show(arrival.payload), flush=True)
    elif terminal:
        plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
        columns = shutil.get_terminal_size().columns
        print("\n".join(lines(arrival, columns, "{}" if plain else DIM)), flush=True)
    else:
        # In a pipe a Message with one meaning stays on one line, whatever its length.
        print("\n".join(lines(arrival, sys.maxsize)), flush=True)


def _filters(bases: dict[str, str], wanted: tuple[str, ...]) -> list[str]:
    """Return topic filters: a device's id stands for all it has, nothing for all of every org."""
    if not wanted:
        return sorted({base.split("/", 1)[0] + "/#" for base in bases.values()})
    return [f"{bases[name]}/#" if name in bases else name for name in wanted]


def _named(wanted: tuple[str, ...]) -> list[str]:
    """Return what is a device's id: no topic of a node has a single level, so a filter without any
    `/` is a mistyped name.
    """
    return [name for name in wanted if not set("/+#") & set(name)]


def _device(where: Where, named: list[str]) -> str | None:
    """Return a device whose broker is the one to be watched; None: any. Raises Problem where a name
    is no device's, and where those that are named have different brokers.
    """
    places = {name: SetupInfo(where.root, name) for name in named}
    if where.broker is None and len({(each.host, each.port) for each in places.values()}) > 1:
        raise Problem(
            "They have different brokers: "
            + ", ".join(f"{name} {each.host}:{each.port}" for name, each in places.items()),
            "Watch one at a time, or say which: --broker.",
        )
    return named[0] if named else None


def _elsewhere(where: Where, host: str) -> list[str]:
    """Return the devices that look for their broker elsewhere than at `host`."""
    bases = SetupInfo(where.root).bases
    return [name for name in bases if SetupInfo(where.root, name).host != host]


def _print_all(inbox: Inbox[Arrival | str], raw: bool) -> None:
    said = 0
    while not ending.lost():
        item = inbox.get(0.5)
        if inbox.dropped > said:
            said = inbox.dropped
            print(
                f"limpet: {plural(said, 'Message')} lost here, reading is too slow", file=sys.stderr
            )
        if isinstance(item, str):
            print(f"limpet: {item}", file=sys.stderr)
        elif item is not None:
            _print(item, raw)


def watch(
    *filters: str,
    raw: Annotated[bool, Parameter(negative=())] = False,
    where: Where | None = None,
) -> int:
    """Print what is published, with its meaning, until Ctrl-C.

    Parameters
    ----------
    filters
        Topic filters, or ids of devices of the fleet. None: all of its organisation.
    raw
        Only topic and payload, byte for byte, for pipes.
    """
    inbox: Inbox[Arrival | str] = Inbox()
    try:
        named = _named(filters)
        asked = where or Where()
        where = asked.settled(named[0] if named else None, tell=True)
        device = _device(where, named)
        if not named and asked.fleet is None and where.root != RUN and running(RUN):
            print(
                f"limpet: this is the fleet {where.root}; `limpet run` is --fleet {RUN}",
                file=sys.stderr,
            )
        with OperatorClient(where, inbox.put, inbox.put, device) as client:
            client.connect()
            client.subscribe(_filters(client.info.bases, filters))
            others = [] if filters or where.broker else _elsewhere(where, client.info.host)
            if others:
                names = ", ".join(others)
                print(f"limpet: not on this broker: {names}; watch them by name", file=sys.stderr)
            _print_all(inbox, raw)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # after the terminal's ^C
    return 0
