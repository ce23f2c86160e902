"""Which devices `limpet provision` is to make when it makes many: by a file of lines, or by a
pattern and a count.

All of it is looked at before anything is made: each fault is named with its line.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter, validators

from limpet.identity.device_config import FIELDS
from limpet.shared.firmware import config
from limpet.shared.numbers import whole
from limpet.shared.problem import Problem

# A fleet that is larger is several, and a typing error is not to fill a disk.
MOST = 100_000
Count = Annotated[int, Parameter(converter=whole, validator=validators.Number(gte=1, lte=MOST))]
Number = Annotated[int, Parameter(converter=whole, validator=validators.Number(gte=0, lte=10**9))]
# The device's credentials, which are made here.
COLUMNS = [name for name in FIELDS if name not in ("ca", "cert", "key")]
_SHOWN = 10
_NOTHING = "Nothing was made; correct it."


class Line(NamedTuple):
    """What was said of one device. where: "line 7", or the device's name."""

    where: str
    fields: dict[str, Any]


def of_pattern(pattern: str, count: int, first: int = 1) -> list[Line]:
    """Return `count` devices called after a pattern such as `plant-{n:04}`, with numbers from
    `first` on. Raises Problem.
    """
    found = re.fullmatch(r"([^{}]*)\{n(?::(0?\d{1,2}))?\}([^{}]*)", pattern)
    if not found:
        raise Problem(
            f"{pattern!r} is no pattern.",
            "Have {n} or {n:04} in it, once: --pattern 'plant-{n:04}'.",
        )
    before, width, behind = found.groups()
    names = (f"{before}{n:{width or ''}}{behind}" for n in range(first, first + count))
    return [Line(name, {"device_id": name}) for name in names]


def of_file(path: Path) -> list[Line]:
    """Return the devices of a CSV file: a header that names fields of a config, then one device on
    each line. What a cell leaves empty is not said. Raises Problem, with all that is wrong.
    """
    text = _text(path)
    rows = _rows(path, text)
    header = [name.strip() for name in next(rows, (0, []))[1]]
    _check_header(path, header)
    lines: list[Line] = []
    faults: list[str] = []
    seen: dict[str, int] = {}
    for number, row in rows:
        where = f"line {number}"
        try:
            fields = _fields(header, row)
            name = fields["device_id"]
            if name in seen:
                raise ValueError(f"{name} is on line {seen[name]} already")
            seen[name] = number
            lines.append(Line(where, fields))
        except ValueError as fault:
            faults.append(f"{where}: {fault}")
    refuse(path, faults)
    if not lines:
        raise Problem(f"{path} names no device.", "Have a line for each below the header.")
    if len(lines) > MOST:
        raise Problem(f"{path} names {len(lines):,} devices, and {MOST:,} is the limit.", _NOTHING)
    return lines


def refuse(what: object, faults: list[str]) -> None:
    """Raise a Problem that names the faults, the first of many; nothing where there is none."""
    if not faults:
        return
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    said = "\n  ".join(faults[:_SHOWN] + more)
    raise Problem(f"{what}:\n  {said}", _NOTHING)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}.", "Name a CSV file.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Problem(f"{path} is UTF-16.", "Save it as CSV in UTF-8.")
    try:
        text = data.decode("utf-8-sig")  # spreadsheets write a mark in front
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Problem(f"{path}, line {line}: it is not UTF-8.", "Save it in UTF-8.") from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise Problem(f"{path}, line {line}: there is a zero byte.", "Save it as CSV in UTF-8.")
    return text


def _rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty, with the number of its first line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    number = 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise Problem(f"{path}, line {number}: {error}.", _NOTHING) from None
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield number, row
        number = reader.line_num + 1


def _check_header(path: Path, header: list[str]) -> None:
    if not header:
        raise Problem(f"{path} is empty.", "Its first line names the columns: device_id,zone")
    if len(header) == 1:
        for mark, said in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in header[0]:
                raise Problem(
                    f"{path}, line 1: its columns are divided by {said}.", "Save it with commas."
                )
    for name in header:
        if name not in COLUMNS:
            known = ", ".join(COLUMNS)
            raise Problem(f"{path}, line 1: {name!r} is no column.", f"There is: {known}.")
        if header.count(name) > 1:
            raise Problem(f"{path}, line 1: the column {name} is there twice.", _NOTHING)
    if "device_id" not in header:
        raise Problem(f"{path}, line 1: no column device_id.", "Each device needs its name.")


def _fields(header: list[str], row: list[str]) -> dict[str, Any]:
    """Return what a row says. Raises ValueError."""
    if len(row) != len(header):
        raise ValueError(f"it has {len(row)} columns, and the header {len(header)}")
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
    if not cells["device_id"]:
        raise ValueError("device_id: is required")
    return {name: _value(name, cell) for name, cell in cells.items() if cell}


def _value(name: str, cell: str) -> Any:
    """Return a cell as the kind of value that the field has: the node's own rules tell which.
    Raises ValueError.
    """
    kind = config.fault(name, object())
    value: Any = cell
    if kind == "must be a whole number":
        value = int(cell) if re.fullmatch(r"-?\d{1,10}", cell, re.ASCII) else cell
    elif kind == "must be true or false":
        value = {"true": True, "false": False}.get(cell.lower(), cell)
    elif kind == "must be a list":
        value = cell.split()
    if fault := config.fault(name, value):
        raise ValueError(f"{name}: {fault}")
    return value
