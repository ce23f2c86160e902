"""The consumers' identities: who `limpet watch`, `send` and `run` are to a broker, and who each
program of one's own is.

A client id has to be the certificate's CN (a broker that allows anything else lets one client take
over another's session), so two tools at once need two certificates. A few are made at provisioning
and leased, one per connection, with a lock that the kernel drops when the process ends. The other
ways were worse: one shared name (each tool throws the other out), a certificate per run (the CA's
key would have to lie about, and mosquitto's rules name users, not patterns of users), a listener of
their own without the rule (a second port and a second CA, or devices use it too).

A program of one's own gets a name of its own: `limpet operator add NAME`. It is leased like the
others, so that a second one that takes it on this machine is told why it may not.

Leases on another machine are not known: copy the folder of one operator there, not all.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from limpet.identity import registry
from limpet.identity.layout import Layout
from limpet.shared import locks
from limpet.shared.problem import Problem

FIRST = registry.FIRST
NAMES = registry.OPERATORS


@dataclass
class Operator:
    """A leased identity: PEM files and the name, which is the client id too."""

    name: str
    ca: Path
    cert: Path
    key: Path
    _lock: int = -1

    def release(self) -> None:
        """Give the identity back. Twice does no harm; the end of the process does it too."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # For contextlib.closing.
    close = release


def is_operator(name: str) -> bool:
    """True for the names that every set-up has, and no device may have."""
    return name in NAMES


def operator_identity(root: Path, name: str | None = None) -> Operator:
    """Lease an identity from the set-up `root`: that of the consumer `name`, else one of the
    operators that nobody uses at present. Raises Problem.
    """
    layout = Layout(root)
    if name is not None:
        if name not in layout.consumers():
            known = ", ".join(sorted(layout.consumers()))
            cause = f"No consumer is called {name!r}. There is: {known}."
            raise Problem(
                cause, f"Make it: limpet operator add {name}, with --read if it only reads."
            )
        if leased := lease(layout, name):
            return leased
        raise Problem(
            f"Another program is connected as {name}, and a broker lets in one of a name.",
            "End it, or give this one a name of its own: limpet operator add NAME.",
        )
    # The first one last: it is what a person takes for a tool of his own, such as mosquitto_sub.
    for each in (*NAMES[1:], FIRST):
        if leased := lease(layout, each):
            return leased
    raise Problem(f"All {len(NAMES)} operators are in use.", "End a `limpet watch`.")


def lease(layout: Layout, name: str) -> Operator | None:
    """Return the identity of a consumer; None while somebody has it. Raises Problem."""
    key, certificate = layout.operator_pair(name)
    try:
        lock = os.open(key, os.O_RDONLY)
    except FileNotFoundError:
        raise Problem(f"{key} is missing.", "Run `limpet provision`.") from None
    if not locks.take(lock):
        os.close(lock)
        return None
    return Operator(name, layout.ca_certificate, certificate, key, lock)
