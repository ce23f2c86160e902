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

from limpet.heard.known import Known
from limpet.identity.operators import is_operator, operator_identity
from limpet.ingest import options, places, reader
from limpet.ingest.asked import Address
from limpet.ingest.job import held
from limpet.operating import opening
from limpet.operating.where import SetupInfo, Where
from limpet.page.asked import Serving
from limpet.shared import asked as asking
from limpet.shared import ending
from limpet.shared.firmware import more_brokers
from limpet.shared.paths import RUN
from limpet.shared.problem import Problem

NAME = "page"
VARIABLE = "LIMPET_PAGE_PASSWORD"
_LOOK_S = 0.5
# What the broker refuses for good ends the page: its address is not said before, or so long.
_SETTLE_S, _SOON_S = 3.0, 0.05


@Parameter(name="*")
@dataclass(frozen=True)
class Source(options.Source):
    """Which fleet, and who we are to its broker."""

    name: Annotated[str, Parameter(name="--as", show_default=False)] = NAME
    """Name of that identity, where the page only reads, or there is no fleet; it is good for one
    program at a time [default: page]. Who takes Commands is an operator of the fleet that is
    free."""


def page(
    *,
    serving: Serving | None = None,
    set_password: Annotated[bool, Parameter(negative=())] = False,
    registry: Path | None = None,
    store: str | None = None,
    open: Annotated[bool, Parameter(negative=())] = False,
    source: Source | None = None,
) -> int:
    """Show the fleet in a browser, until Ctrl-C: each node live, its history, Commands as buttons.

    Parameters
    ----------
    set_password
        Ask for the password that the page needs beyond loopback, keep it, and do no more.
    registry
        The registry, or a copy of it [default: the fleet's broker/devices.json, else devices.json
        beside the identity].
    store
        Where the history is, as for `limpet ingest` [default: the fleet's store, if there is one].
    open
        Open it in the browser.
    """
    # Extras, before anything else is asked for.
    from limpet.page import assembly, door

    wanted, asked = serving or Serving(), source or Source()
    fleet = None
    if asked.identity is None or asked.fleet is not None:
        fleet = Where(asked.fleet).settled(tell=True).root
    folder = fleet / "page" if fleet else asked.identity
    assert folder
    if set_password:
        return _set_password(folder)
    if fleet is None and registry is None:
        registry = folder / "devices.json"
    known = Known(fleet, registry, _say)
    tls = door.tls(wanted, fleet, folder)
    access = door.access(wanted, folder, tls is not None)
    named = fleet or store or places.VARIABLE in os.environ
    kept = places.place(store, fleet) if named else None
    if kept and (store or places.VARIABLE in os.environ):
        _look_at(kept)
    with ExitStack() as stack:
        address = _address(asked, known, fleet, access.operate, stack)
        listens, _ = assembly.listener(*wanted.place)
        stack.callback(listens.close)
        shown = assembly.Page(
            fleet.resolve().name if fleet else asked.name,
            known,
            assembly.Broker(address, _filters(asked, known)),
            access,
            listens,
            _say,
            store=kept,
            tls=tls,
        )
        try:
            stack.enter_context(shown)
            limit = time.monotonic() + _SETTLE_S
            while not shown.settled and time.monotonic() < limit and not ending.lost():
                time.sleep(_SOON_S)
            _told(shown.url, wanted, access.operate, access.login is not None)
            if open and not opening.opened(shown.url):
                _say("there is no browser here that could be opened")
            while not ending.lost():
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            if sys.stdout.isatty():
                print()  # after the terminal's ^C
    return 0


def _look_at(store: places.Place) -> None:
    """Say of a store that was named what is wrong with it; it may come later, so that is no end."""
    try:
        with reader.reader(store):
            pass
    except Problem as problem:
        until = "Until then charts have what this page hears."
        _say(f"{problem.cause} {problem.remedy} {until}")


def _say(text: str) -> None:
    print(f"limpet page: {text}", flush=True)


def _told(url: str, wanted: Serving, operates: bool, guarded: bool) -> None:
    host, _ = wanted.place
    if host in ("0.0.0.0", "::"):  # which is no address to go to
        url = url.replace("0.0.0.0", wanted.hosts()[0]).replace("[::]", wanted.hosts()[0])
    may = "Commands are taken" if operates else "it only reads"
    need = ", with a login" if guarded else ""
    _say(f"{url} ({may}{need}); Ctrl-C ends it")
    if wanted.behind_proxy:
        _say(f"to browsers it is https://{wanted.hosts()[0]}/, by your proxy")


def _set_password(folder: Path) -> int:
    from limpet.page.serving import login

    what = "password of the page"
    remedy = f"Set {VARIABLE}, or type it at a terminal."
    typed = asking.secret(what, VARIABLE, remedy=remedy)
    if VARIABLE not in os.environ and typed != asking.secret(f"{what}, again", VARIABLE):
        raise Problem("These are two different passwords.", "Try again.")
    login.set_password(folder, typed)
    _say(f"{folder / login.FILE} is written; a page that runs asks for it from now on")
    return 0


def _filters(asked: Source, known: Known) -> tuple[str, ...]:
    """Return the filters of all that is said in the fleet's organisations. Raises Problem."""
    return tuple(
        sorted({f"{each.split('/')[0]}/#" for each in options.filters(asked, known.layout, [""])})
    )


def _address(
    asked: Source, known: Known, fleet: Path | None, operates: bool, stack: ExitStack
) -> Address:
    """Return where the broker is and who we are there, for as long as `stack` holds it. Raises
    Problem.
    """
    # `limpet run` has no consumers of its own; its operators are for trying things.
    thrown_away = fleet is not None and os.path.realpath(fleet) == os.path.realpath(RUN)
    if fleet is None or not (operates or thrown_away):
        address = options.address_of(asked, fleet, asked.name)
        if operates and not _may_operate(known, address.name):
            raise Problem(
                f"{address.name} may only read, by the registry.",
                "Say --read-only, or another --as.",
            )
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


def _may_operate(known: Known, name: str) -> bool:
    consumer = known.registry.consumers.get(name)
    return is_operator(name) or (consumer is not None and consumer.role == "operate")
