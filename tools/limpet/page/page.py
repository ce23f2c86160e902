"""`limpet page`: the fleet live in a browser."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.identity.operators import operator_identity
from limpet.ingest import options, places
from limpet.ingest.asked import Address
from limpet.ingest.job import held
from limpet.operating import opening
from limpet.operating.where import SetupInfo, Where
from limpet.shared import ending
from limpet.shared.firmware import more_brokers, rules
from limpet.shared.problem import Problem

NAME = "page"
LISTEN = "127.0.0.1:8080"
_LOOK_S = 0.5


@Parameter(name="*")
@dataclass(frozen=True)
class Source(options.Source):
    """Which fleet, and who we are to its broker."""

    name: Annotated[str, Parameter(name="--as")] = NAME
    """Name of that identity; it is good for one program at a time."""


def page(
    *,
    listen: str = LISTEN,
    read_only: Annotated[bool, Parameter(negative=())] = False,
    registry: Path | None = None,
    store: str | None = None,
    open: Annotated[bool, Parameter(negative=())] = False,
    source: Source | None = None,
) -> int:
    """Show the fleet in a browser, until Ctrl-C: each node live, its history, Commands as buttons.

    Parameters
    ----------
    listen
        Where it is: HOST:PORT.
    read_only
        Take no Commands; it is then to the broker who may only read.
    registry
        The registry, or a copy of it [default: the fleet's broker/devices.json, else devices.json
        beside the identity].
    store
        Where the history is, as for `limpet ingest` [default: the fleet's store, if there is one].
    open
        Open it in the browser.
    """
    # An extra.
    from limpet.heard.known import Known
    from limpet.page.assembly import LOOPBACK, Broker, Page, listener
    from limpet.page.serving.guard import Access

    def say(text: str) -> None:
        print(f"limpet page: {text}", flush=True)

    asked = source or Source()
    host, port = _place(listen)
    if not rules.is_loopback(host):
        raise Problem("--listen beyond loopback is not there yet.", "Listen on 127.0.0.1.")
    fleet = None
    if asked.identity is None or asked.fleet is not None:
        fleet = Where(asked.fleet).settled(tell=True).root
    if fleet is None and registry is None and asked.identity:
        registry = asked.identity / "devices.json"
    where = places.place(store, fleet) if fleet or store or places.VARIABLE in os.environ else None
    known = Known(fleet, registry, say)
    organisations = sorted({base.split("/")[0] for base in known.layout.bases().values()})
    with ExitStack() as stack:
        address = _address(asked, fleet, read_only, stack)
        listens, _ = listener(host, port)
        stack.callback(listens.close)
        access = Access(LOOPBACK, operate=not read_only)
        broker = Broker(address, tuple(f"{each}/#" for each in organisations))
        name = fleet.resolve().name if fleet else asked.name
        try:
            shown = Page(name, known, broker, access, listens, say, store=where)
            stack.enter_context(shown)
            say(f"{shown.url}; Ctrl-C ends it")
            if open and not opening.opened(shown.url):
                say("there is no browser here that could be opened")
            while not ending.lost():
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            if sys.stdout.isatty():
                print()  # after the terminal's ^C
    return 0


def _address(asked: Source, fleet: Path | None, read_only: bool, stack: ExitStack) -> Address:
    """Return where the broker is and who we are there, for as long as `stack` holds it."""
    if fleet is None or read_only:
        address = options.address_of(asked, fleet, asked.name)
        stack.enter_context(held(address.key))
        return address
    identity = operator_identity(fleet)
    stack.callback(identity.release)
    info = SetupInfo(fleet)
    brokers = [(host, asked.port or its) for host, its in info.brokers]
    if asked.broker:
        brokers = more_brokers.split(asked.broker, asked.port or info.port)
    name = asked.server_name or info.server_name
    return Address(tuple(brokers), name, identity.name, identity.ca, identity.cert, identity.key)


def _place(listen: str) -> tuple[str, int]:
    """Return host and port of HOST:PORT; raises Problem."""
    ((host, port),) = more_brokers.split([listen], -1)
    # What is no port is 0 to `split`, and 0 is any that is free.
    if not host or port < 0 or port > 65535 or (port == 0 and not listen.endswith(":0")):
        raise Problem(f"--listen: {listen!r} is no address with a port.", f"Such as {LISTEN}.")
    return host, port
