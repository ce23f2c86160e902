"""Any JSON value as one harmless line of text: control characters do not leave this module."""

import json
import math
import time
from typing import Any


def safe(text: str) -> str:
    """Return `text` without what could steer a terminal: it becomes `\\xNN`, `\\uNNNN`.

    Beside control characters that is what turns the direction of writing, or breaks lines.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def short(text: str, most: int = 120) -> str:
    """Return `text`, or the front of a longer one: a name may have 65,535 bytes."""
    return text if len(text) <= most else f"{text[:most]}..."


def word(value: Any) -> str:
    """Return any JSON value as one safe line: strings bare, the rest as JSON."""
    try:
        return safe(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    except (ValueError, RecursionError):
        return "?"


def is_number(value: Any) -> bool:
    """True for a finite number; not for true, false, or an int that no float can hold."""
    try:
        return (
            not isinstance(value, bool) and isinstance(value, int | float) and math.isfinite(value)
        )
    except OverflowError:
        return False


def told(value: Any, depth: int = 20) -> Any:
    """Return a JSON value as strict JSON can have it: what is no finite number is None, and what
    lies deeper than `depth` is `...`. Python's parser takes NaN and 1e999, no browser's does.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, dict | list | tuple):
        return value
    if not depth:
        return "..."
    if isinstance(value, dict):
        return {name: told(each, depth - 1) for name, each in value.items()}
    return [told(each, depth - 1) for each in value]


def plural(count: int, thing: str) -> str:
    """Return `1 device`, `1,000 devices`: `thing` with an s where it is not one."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def clock(ts: Any) -> str:
    """Return Unix seconds as local time `12:03:10`, the date before it if not today; else empty."""
    if not is_number(ts):
        return ""
    try:
        then = time.localtime(ts)
    except (ValueError, OverflowError, OSError):
        return ""
    today = time.localtime()[:3] == then[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)
