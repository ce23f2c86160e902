"""Consumers: the identities of programs that are no device, beside the operators of every fleet."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from limpet.identity import authority, operators
from limpet.identity.layout import Layout
from limpet.identity.provisioning import Setup
from limpet.identity.registry import Consumer, Role, stamp
from limpet.shared import private
from limpet.shared.firmware import config
from limpet.shared.problem import Problem, there_is


def add(setup: Setup, name: str, role: Role) -> bool:
    """Make the identity of a program; False if it is there with this role.

    Raises Problem for a name that it cannot have.
    """
    if fault := config.fault("device_id", name):
        raise Problem(f"The name of a consumer: {fault}.", "Give another.")
    if operators.is_operator(name):
        raise Problem(f"{name} is an operator of every fleet.", "Give another name.")
    folder = setup.layout.operator(name)
    identity = setup.authority.client(name)
    with setup.changed() as registry:
        if name in registry.devices:
            raise Problem(f"{name} is a device of this fleet.", "Give another name.")
        known = registry.consumers.get(name)
        if known and known.role != role:
            cause = f"{name} is there already, with the role {known.role}."
            raise Problem(cause, f"Remove it first: limpet operator remove {name}")
        if known and folder.exists():
            return False
        if folder.exists():
            cause = f"{folder} is there, and no consumer's."
            raise Problem(cause, "Move it away, or give another name.")
        registry.consumers[name] = known or Consumer(role, stamp())
        registry.issued(name, identity.serial, identity.expires)
    setup.operator(name, identity)
    return True


def due(layout: Layout, within_days: int | None) -> list[str]:
    """Return the operators of every fleet and the programs whose certificates end within so many
    days, or cannot be read; None: all.
    """
    names = list(layout.consumers())
    if within_days is None:
        return names
    limit = datetime.now(UTC) + timedelta(days=within_days)
    return [name for name in names if (end := expires(layout, name)) is None or end < limit]


def expires(layout: Layout, name: str) -> datetime | None:
    """Return until when a consumer's certificate is good; None where it cannot be told."""
    try:
        return authority.load(*layout.operator_pair(name)).expires
    except Problem:
        return None


def renew(setup: Setup, names: Iterable[str]) -> tuple[list[str], list[str]]:
    """Give consumers new keys and certificates; return whom, and whom not, as a program on this
    machine has that identity now. Raises Problem for a name that is none.

    The old certificate stays good until its end: a copy of it elsewhere works until then.
    """
    layout, renewed, in_use = setup.layout, list[str](), list[str]()
    names = list(names)
    for name in names:
        if name not in layout.consumers():
            raise Problem(f"No consumer is called {name!r}.", there_is(layout.consumers(), name))
    for name in names:
        setup.operator(name)  # a folder that is missing
        try:
            leased = operators.lease(layout, name)
        except Problem:  # no key in there
            leased = operators.Operator(name, layout.ca_certificate, *layout.operator_pair(name))
        if leased is None:
            in_use.append(name)
            continue
        key, certificate = layout.operator_pair(name)
        made = setup.authority.client(name)
        try:
            with setup.changed() as registry:
                registry.issued(name, made.serial, made.expires)
            private.write(key, made.key_pem())
            private.write(certificate, made.pem())
        finally:
            leased.release()
        renewed.append(name)
    return renewed, in_use


def removable(layout: Layout, name: str) -> None:
    """Raise Problem for a name of no program, and for the operators of every fleet."""
    if operators.is_operator(name):
        raise Problem(f"{name} is an operator of every fleet, and stays.", "Name another.")
    own = layout.registered().consumers
    if name not in own:
        known = ", ".join(own) or "none of its own"
        raise Problem(f"No consumer is called {name!r}.", f"There is: {known}.")


def remove(setup: Setup, name: str) -> None:
    """Take a program out of the fleet: its certificate is revoked, its folder removed. Raises
    Problem where there is none, and for the operators of every fleet.
    """
    removable(setup.layout, name)
    with setup.changed() as registry:
        registry.revoke(name)
        registry.consumers.pop(name, None)
    private.remove(setup.layout.operator(name))
