"""Numbers on a command line, each with the range in which it means something.

One that is out of it is a typing error: it is named, and nothing is begun.
"""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token
from cyclopts.validators import Number

_YEAR_S = 366 * 24 * 3600


def whole(kind: object, tokens: Sequence[Token]) -> int:
    """Read a whole number: 0.4 would become 0, which means something else."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError("It is no whole number.") from None


# How long something goes on, or is waited for: no time at all would be no try.
Seconds = Annotated[float, Parameter(validator=Number(gt=0, lte=_YEAR_S))]
# For a time that may be none: 0 has a meaning of its own.
SecondsOrNone = Annotated[int, Parameter(converter=whole, validator=Number(gte=0, lte=_YEAR_S))]
Port = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=65535))]
# Of `limpet ingest`: more than there is to do, also at the largest broker.
MAX_WORKERS = 16
WorkerCount = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=MAX_WORKERS))]
# Where to listen: 0 is any that is free.
ListeningPort = Annotated[int, Parameter(converter=whole, validator=Number(gte=0, lte=65535))]
# Of a serial line: the slowest that esptool speaks, and more than any bridge does.
Baud = Annotated[int, Parameter(converter=whole, validator=Number(gte=9600, lte=6_000_000))]
# How much faster than real time a node's clock runs: what its Board takes.
Speed = Annotated[float, Parameter(validator=Number(gte=0.01, lte=10_000))]
# Before a certificate's end.
Days = Annotated[int, Parameter(converter=whole, validator=Number(gte=0, lte=7300))]
Times = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=1000))]
