"""Tracebacks of byte code made readable: a board has short names, and no line numbers.

Another version's short names may mean other things, so it knows this checkout's only.
"""

import re
from functools import cache
from itertools import chain

from limpet.node_host import short_names
from limpet.node_host.bytecode import names_in, parsing
from limpet.node_host.groups import sources
from limpet.shared.paths import FIRMWARE, LIB

# With line 1, as it says everywhere.
_FRAME = re.compile(r'(File \\?"(\w+)\\?"), line 1, in (\w+)')


def readable(text: str) -> str:
    """Return `text` with the functions that its tracebacks name as the source has them."""

    def original(found: re.Match[str]) -> str:
        file, name = found[2], found[3]
        return f"{found[1]}, in {_functions().get((file, name), name)}"

    return _FRAME.sub(original, text) if "File " in text else text


@cache
def _functions() -> dict[tuple[str, str], str]:
    """What is meant by a file's name, without its folder, and a short name in it."""
    found: dict[tuple[str, str], str] = {}
    with parsing:
        names = names_in(FIRMWARE, LIB)
        for source in chain(*sources(FIRMWARE, LIB)):
            for short, name in short_names.originals(source.text, names).items():
                key = source.name.stem, short
                found[key] = f"{found[key]} or {name}" if key in found else name
    return found
