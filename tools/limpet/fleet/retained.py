"""What a broker keeps of a device for whoever comes later: its retained Messages, cleared.

Nobody but the device may write most of them, so they are cleared in its name, with a certificate
made for the moment. A broker lets in one client of a name: a node that is connected is thrown out,
and comes back until it is revoked.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from limpet.brokers import rules
from limpet.fleet.seen import LIMIT_S, Heard
from limpet.identity.authority import Identity
from limpet.identity.operators import Operator
from limpet.identity.provisioning import Setup
from limpet.operating.operator_client import OperatorClient
from limpet.operating.where import Where
from limpet.shared import private
from limpet.shared.problem import Problem

# Long enough to clear, and worth nothing to who finds it.
VALID = timedelta(hours=1)
# So long a broker that follows the registry may take to let somebody in again: mosquitto starts
# anew.
FOLLOW_S = 15.0
_TRY_S = 0.5


@contextlib.contextmanager
def clearing(
    setup: Setup, device: str, base: str, identity: Identity | None = None
) -> Iterator["Clearing"]:
    """Connect to the device's broker, as an operator and as the device, with `identity` or one that
    is made for the moment. Raises Problem.
    """
    where, heard = Where(fleet=setup.layout.root), Heard()
    made = identity or setup.authority.client(device, valid=VALID)
    with OperatorClient(where, heard.take, device=device) as operator:
        operator.connect()
        with (
            _own(setup, device, made) as own_identity,
            OperatorClient(where, lambda _: None, device=device, identity=own_identity) as own,
        ):
            own.connect()
            yield Clearing(rules.grant(device, {device: base}, {}), base, operator, own, heard)


def cleared_by(setup: Setup, device: str, base: str, identity: Identity) -> list[str]:
    """Clear what is retained of a device that its broker is about to let in again; return the
    topics. Raises Problem where it does not within FOLLOW_S.
    """
    until, found = time.monotonic() + FOLLOW_S, set[str]()
    while True:
        problem = Problem("what was cleared is there still.", "")
        try:
            with clearing(setup, device, base, identity) as connected:
                found |= set(connected.clear())
                # mosquitto acknowledges and drops what is of somebody it does not know yet.
                if not connected.retained():
                    return sorted(found)
        except Problem as refused:
            problem = refused
        if time.monotonic() > until:
            raise problem
        time.sleep(_TRY_S)


@dataclass
class Clearing:
    """The two connections. rights: the device's; heard: what has come to the operator."""

    rights: rules.Grant | None
    base: str
    operator: OperatorClient
    own: OperatorClient
    heard: Heard

    def retained(self) -> list[str]:
        """Return the device's topics on which something is retained now."""
        self.heard.retained.clear()
        self.operator.subscribe([f"{self.base}/#"])
        self.heard.wait(time.monotonic() + LIMIT_S)
        return sorted(topic for topic, payload in self.heard.retained.items() if payload)

    def clear(self) -> list[str]:
        """Clear what is retained, and return its topics. Raises Problem where the broker does not
        acknowledge that.
        """
        topics = self.retained()
        for topic in topics:
            own = self.rights is not None and self.rights.may_write(topic)
            if not (self.own if own else self.operator).clear(topic):
                raise Problem(f"The broker does not acknowledge: {topic}.", "Try again.")
        return topics


@contextlib.contextmanager
def _own(setup: Setup, device: str, made: Identity) -> Iterator[Operator]:
    """Yield an identity in the device's name, whose files are gone behind the block."""
    with tempfile.TemporaryDirectory(prefix="limpet-") as name:
        folder = Path(name)
        key, certificate = folder / "key", folder / "crt"
        private.write(key, made.key_pem())
        private.write(certificate, made.pem())
        yield Operator(device, setup.layout.ca_certificate, certificate, key)
