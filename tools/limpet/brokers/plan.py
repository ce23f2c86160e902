"""What a broker is to be for one fleet: all that a renderer needs to write its files. Pure.

A renderer is `render(plan) -> {file name: text}`, in the module `renderer` of the broker's folder.
Each text that depends on the registry has the line of `made_from` in a comment of its language, by
which age.py sees whether it is still the registry of now.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from limpet.brokers import rules
from limpet.brokers.capacity import Limits
from limpet.identity.registry import Role
from limpet.shared.plain import plural


@dataclass(frozen=True)
class Plan:
    """A broker to be configured; every path is absolute.

    folder: where its files lie and its state goes. listen: address, '' for all. port: with TLS.
    user: the system's user who owns the keys, whom a broker started by root becomes. ca, crl,
    certificate, key: PEM files. bases: base topic of each device by its id. consumers: the role of
    each other client by its name. passwords: whether some devices log in besides their certificate,
    by `password_file`. figures_port: on 127.0.0.1, where a broker that has such a page shows its
    own figures by HTTP; 0: nowhere.
    """

    folder: Path
    listen: str
    port: int
    user: str
    ca: Path
    crl: Path
    certificate: Path
    key: Path
    password_file: Path
    passwords: bool
    bases: Mapping[str, str]
    consumers: Mapping[str, Role]
    limits: Limits
    figures_port: int = 0

    @property
    def registry(self) -> str:
        """Return the hash of who may do what: it changes with the registry and with the rules."""
        return fingerprint(self.bases, self.consumers)

    def grants(self) -> Iterator[tuple[str, rules.Grant]]:
        """Yield each client's name and rights: the devices by name, then the consumers."""
        for name in (*sorted(self.bases), *self.consumers):
            grant = rules.grant(name, self.bases, self.consumers)
            assert grant
            yield name, grant


def fingerprint(bases: Mapping[str, str], consumers: Mapping[str, str]) -> str:
    """Return 16 hex digits that stand for a registry and the rules of now."""
    said = [rules.VERSION, sorted(bases.items()), sorted(consumers.items())]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def made_from(plan: Plan) -> str:
    """Return the line by which a file says what it was made from; to be put into a comment."""
    return f"rules {rules.VERSION}, registry {plan.registry}"


def sized(limits: Limits) -> str:
    """Return for how many of each a file was made: `50 devices, 2 services and 1 monitor`."""
    kinds = (limits.devices, "device"), (limits.services, "service"), (limits.monitors, "monitor")
    devices, services, monitors = (plural(count, kind) for count, kind in kinds)
    return f"{devices}, {services} and {monitors}"


def registry_of(text: str) -> str | None:
    """Return from which registry a file was made; None where it does not say."""
    found = re.search(r"\brules \d+, registry ([0-9a-f]{16})\b", text)
    return found[1] if found else None


def rules_of(text: str) -> int:
    """Return by which version of the rules a file was made; those of the first said none."""
    found = re.search(r"^\W*rules (\d+)\b", text, re.MULTILINE)
    return int(found[1]) if found else 1
