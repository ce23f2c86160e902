"""The operators' identities: who `limpet watch`, `send` and `run` are to a broker.

A client id has to be the certificate's CN (a broker that allows anything else lets one client take
over another's session), so two tools at once need two certificates. A few are made at provisioning
and leased, one per connection, with a lock that the kernel drops when the process ends. The other
ways were worse: one shared name (each tool throws the other out), a certificate per run (the CA's
key would have to lie about, and mosquitto's rules name users, not patterns of users), a listener of
their own without the rule (a second port and a second CA, or devices use it too).

Leases on another machine are not known: copy the folder of one operator there, not all.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from limpet.identity.layout import Layout
from limpet.shared import locks
from limpet.shared.problem import Problem

FIRST = "operator"
# A live view, a watch or two, a send, and room; each costs two small files.
NAMES = (FIRST, *(f"{FIRST}-{number}" for number in range(2, 9)))


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


def is_operator(name: str) -> bool:
    """True for the names that no device may have."""
    return name in NAMES


def operator_identity(root: Path) -> Operator:
    """Lease an identity that nobody uses at present from the set-up `root`; raises Problem."""
    layout = Layout(root)
    # The first one last: it is what a person takes for a tool of his own, such as mosquitto_sub.
    for name in (*NAMES[1:], FIRST):
        key, certificate = layout.operator_pair(name)
        try:
            lock = os.open(key, os.O_RDONLY)
        except FileNotFoundError:
            raise Problem(f"{key} is missing.", "Run `limpet provision`.") from None
        if not locks.take(lock):
            os.close(lock)
            continue
        return Operator(name, layout.ca_certificate, certificate, key, lock)
    raise Problem(f"All {len(NAMES)} operators are in use.", "End a `limpet watch`.")
