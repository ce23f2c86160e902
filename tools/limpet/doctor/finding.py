"""What is wrong, how bad that is, what it means, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from limpet.shared.plain import short

Level = Literal["critical", "warning", "note"]
# Worst first.
LEVELS: tuple[Level, ...] = ("critical", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    critical: somebody reads or writes what is not his, or Readings do not arrive. warning: that
    will come, or may. note: good to know. check: which one has found it; `examine` enters that.
    """

    level: Level
    cause: str
    means: str
    remedy: str
    check: str = ""


def listed(names: list[str], most: int = 5) -> str:
    """Return the names as one text, the first of many, and of long ones the front."""
    rest = len(names) - most
    return ", ".join(map(short, names[:most])) + (f" and {rest:,} more" if rest > 0 else "")
