"""Consumers: the identities of programs that are no device, beside the operators of every fleet."""

from limpet.identity import operators
from limpet.identity.provisioning import Setup
from limpet.identity.registry import Consumer, Role, stamp
from limpet.shared import private
from limpet.shared.firmware import config
from limpet.shared.problem import Problem


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


def remove(setup: Setup, name: str) -> None:
    """Take a program out of the fleet: its certificate is revoked, its folder removed. Raises
    Problem where there is none, and for the operators of every fleet.
    """
    if operators.is_operator(name):
        raise Problem(f"{name} is an operator of every fleet, and stays.", "Name another.")
    with setup.changed() as registry:
        if name not in registry.consumers:
            own = ", ".join(registry.consumers) or "none of its own"
            raise Problem(f"No consumer is called {name!r}.", f"There is: {own}.")
        registry.revoke(name)
        del registry.consumers[name]
    private.remove(setup.layout.operator(name))
