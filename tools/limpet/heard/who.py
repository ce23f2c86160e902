"""Who we are to the fleet's broker where a person looks on: an operator that nobody uses, as
`limpet watch` is one, or a program of the fleet that is named.
"""

from __future__ import annotations

from limpet.identity.operators import Operator, operator_identity
from limpet.ingest.asked import Address
from limpet.operating.where import SetupInfo, Where


def address(where: Where, name: str | None = None) -> tuple[Operator, Address]:
    """Return the identity, which is to be released at the end, and where the brokers are. where:
    settled. name: a program of the fleet. Raises Problem.
    """
    info = SetupInfo(where.root)
    leased = operator_identity(where.root, name)
    server_name = where.server_name or info.server_name
    files = (leased.ca, leased.cert, leased.key)
    return leased, Address(tuple(where.brokers(info)), server_name, leased.name, *files)
