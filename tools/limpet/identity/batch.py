"""Many devices at once: their keys in several processes, the registry and what follows it written
once.

Each device's folder comes first, complete, and the registry at the end, also where Ctrl-C, an error
or a full disk is the end. What a kill leaves is a folder that no registry knows of: the next run
with that device enters it.
"""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from limpet.identity import authority, device_config, passwords
from limpet.identity.authority import Authority
from limpet.identity.device_config import check
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup, base_of, fields_of, with_fields
from limpet.identity.registry import Auth, Device, stamp
from limpet.shared import private
from limpet.shared.firmware import errors
from limpet.shared.problem import Problem

# What one process makes between two words of progress; it waits for the disk once.
CHUNK = 50
# Fewer are made sooner than a process has started.
_ALONE = 2 * CHUNK


class Order(NamedTuple):
    """A device that is to be there. fields: its whole config where it is new; given: what was said,
    which is changed where it is there already.
    """

    fields: dict[str, Any]
    given: dict[str, Any]

    @property
    def device_id(self) -> str:
        """Its name."""
        return str(self.fields["device_id"])


class Made(NamedTuple):
    """A device's base topic and certificate, and the entry of its password, if it has one."""

    device_id: str
    base: str
    serial: str
    until: datetime
    entry: str | None


@dataclass
class Outcome:
    """The devices that were made, changed, and left as they were, by name."""

    made: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def provision(
    setup: Setup, orders: Sequence[Order], outcome: Outcome, told: Callable[[int], None]
) -> None:
    """Make what is not there, and change what is; `outcome` says what was done, also after an
    error. `told` is called with how many more are done.

    Every order's fields have been checked. Raises Problem before anything is made where a folder is
    none that could be entered.
    """
    layout = setup.layout
    private.folder(layout.devices)
    new = [order for order in orders if not layout.device(order.device_id).exists()]
    there = [order for order in orders if layout.device(order.device_id).exists()]
    found = [_found(setup, order) for order in there]
    told(0)
    made: list[Made] = [each.stray for each in found if each.stray]

    def done(chunk: list[Made]) -> None:
        made.extend(chunk)
        outcome.made += [each.device_id for each in chunk]
        told(len(chunk))

    try:
        _make_all(layout, new, done)
    finally:
        passwords.set_entries(layout, {each.device_id: each.entry for each in made if each.entry})
        with setup.changed() as registry:
            for each in made:
                auth: Auth = "password" if each.entry else "mtls"
                known = registry.devices.get(each.device_id) or Device("", stamp(), auth)
                registry.devices[each.device_id] = replace(known, base=each.base)
                registry.issued(each.device_id, each.serial, each.until)
    _change(setup, [each for each in found if each.new], outcome)
    outcome.kept += [each.order.device_id for each in found if not each.new]
    told(len(found))


class _Found(NamedTuple):
    """A device whose folder is there. new: its fields, where they become others. stray: what the
    registry lacks of it.
    """

    order: Order
    new: dict[str, Any] | None
    stray: Made | None


def _found(setup: Setup, order: Order) -> _Found:
    name, layout = order.device_id, setup.layout
    folder = layout.device(name)
    old = fields_of(folder)
    if old.get("device_id") != name:
        raise Problem(f"{folder} is not that of {name}.", "Put its device_id right.")
    differs = any(old.get(each) != value for each, value in order.given.items())
    new = with_fields(old, order.given)
    try:
        base = base_of(check(new))
    except errors.ConfigError as error:
        said = f"{device_config.where(folder)}: {error.field} {error.text}."
        raise Problem(said, "Correct it; nothing was made.") from None
    stray = None
    if name not in layout.registered().devices:
        certificate = authority.load_certificate(folder / "cert.der")
        if not authority.is_client(certificate, setup.authority.certificate, name):
            raise Problem(f"{folder} has no certificate of this fleet's.", "Move it away.")
        serial, until = f"{certificate.serial_number:x}", certificate.not_valid_after_utc
        password = old.get("password")
        stray = Made(name, base, serial, until, passwords.entry(password) if password else None)
    return _Found(order, new if differs else None, stray)


def _change(setup: Setup, found: Sequence[_Found], outcome: Outcome) -> None:
    """Give devices that are there other fields: the registry first, as brokers go by it."""
    if not found:
        return
    entries: dict[str, str | None] = {}
    with setup.changed() as registry:
        for order, new, _ in found:
            assert new is not None
            auth: Auth = "password" if new.get("password") else "mtls"
            known = registry.devices[order.device_id]
            registry.devices[order.device_id] = replace(known, base=base_of(check(new)), auth=auth)
            if "password" in order.given:
                password = order.given["password"]
                entries[order.device_id] = passwords.entry(password) if password else None
    passwords.set_entries(setup.layout, entries)
    for order, new, _ in found:
        assert new is not None
        device_config.write(setup.layout.device(order.device_id), new)
        outcome.changed.append(order.device_id)


def _make_all(layout: Layout, orders: Sequence[Order], done: Callable[[list[Made]], None]) -> None:
    """Make devices, and call `done` with each lot."""
    fields = [order.fields for order in orders]
    chunks = [fields[begin : begin + CHUNK] for begin in range(0, len(fields), CHUNK)]
    if len(fields) <= _ALONE:
        _begin(layout.root, quiet=False)
        for chunk in chunks:
            done(_make(chunk))
        return
    count = min(processes(), len(chunks))
    # Fresh processes: a copy of this one would hold its locks, and begin amid its threads.
    with ProcessPoolExecutor(count, get_context("spawn"), _begin, (layout.root,)) as pool:
        waiting = {pool.submit(_make, chunk) for chunk in chunks}
        try:
            for each in as_completed(set(waiting)):
                waiting.discard(each)
                done(each.result(0))
        except BaseException:
            # What is under way is waited for: it is done, and counts.
            for each in as_completed([each for each in waiting if not each.cancel()]):
                if each.exception() is None:
                    done(each.result(0))
            raise


def processes() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_begun: dict[str, Any] = {}


def _begin(root: Path, quiet: bool = True) -> None:
    """Load what `_make` needs, in its process; Ctrl-C is for the one that has started it."""
    if quiet:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    layout = Layout(root)
    _begun.update(layout=layout, authority=Authority.open(layout.ca))


def _make(chunk: list[dict[str, Any]]) -> list[Made]:
    """Make the folders of devices by their fields; return what the registry has to know of them."""
    layout, issuer = _begun["layout"], _begun["authority"]
    folders, made = {}, {}
    for fields in chunk:
        name, password = str(fields["device_id"]), fields.get("password")
        identity = issuer.client(name)
        path = layout.device(name)
        folders[path] = device_config.files(fields) | issuer.credentials(identity)
        entry = passwords.entry(password) if password else None
        base = base_of(check(fields))
        made[path] = Made(name, base, identity.serial, identity.expires, entry)
    return [made[path] for path in private.new_folders(folders)]
