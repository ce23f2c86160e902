"""How the file in which a slot has its modules comes about on a board: what of it an interrupted
deploy has left stays, what the other slot's file has is copied there, the rest is sent.

Pure: deployment.py has the board do it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from limpet.boards import archive
from limpet.deploying import slots
from limpet.deploying.slots import OTHER, Survey

# Bytes in a step, after which the board keeps what it has got.
_STEP = 16_384


@dataclass(frozen=True)
class Step:
    """A piece of the file, `modules` of them or parts of one: copied from byte `at` of the other
    slot's file, or sent (None).
    """

    data: bytes
    at: int | None
    modules: int


def begun(data: bytes, slot: str, there: Survey) -> int:
    """Return how many bytes of the file `data` the slot has already; 0: none that could stay."""
    found = there.files.get(f"/{slot}/{archive.NAME}")
    return found.size if found and slots.same(data[: found.size], found) else 0


def steps(data: bytes, slot: str, there: Survey) -> list[Step]:
    """Return what has to be done, in order, for the slot to have the file `data`."""
    made: list[Step] = []
    for each in _pieces(data, begun(data, slot, there), f"/{OTHER[slot]}/{archive.NAME}", there):
        last = made[-1] if made else None
        if last and len(last.data) + len(each.data) <= _STEP and _follows(last, each):
            made[-1] = Step(last.data + each.data, last.at, last.modules + each.modules)
        else:
            made.append(each)
    return made


def _follows(last: Step, each: Step) -> bool:
    if last.at is None or each.at is None:
        return last.at is each.at
    return last.at + len(last.data) == each.at


def _pieces(data: bytes, begun: int, source: str, there: Survey) -> Iterator[Step]:
    end = 0
    for number, piece in enumerate(archive.pieces(data)):
        end += len(piece)
        if end > begun:
            rest = piece[begun - end :] if end - begun < len(piece) else piece
            at = there.modules.get((source, sha256(piece).hexdigest()))
            at = None if at is None else at + len(piece) - len(rest)
            yield Step(rest, at, 1 if number else 0)
