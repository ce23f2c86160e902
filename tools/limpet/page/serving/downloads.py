"""Readings as a file: CSV as it is read, Parquet by way of a file.

A store is read by one thread from its opening to its end, as neither database lets others go on.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from limpet.ingest.files import rows
from limpet.ingest.files.parquet import parquet
from limpet.page.history import Asked, History
from limpet.shared.problem import Problem

# Of a file of Parquet, which takes room on a disk before it is sent.
MOST_ROWS = 5_000_000


class _Then:
    """A response, and what is to be done when it is over, however it ends."""

    def __init__(self, response: Response, end: Callable[[], None]) -> None:
        self._response = response
        self._end = end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._response(scope, receive, send)
        finally:
            self._end()


async def answer(
    history: History,
    asked: Asked,
    form: str,
    gone: Callable[[], Awaitable[bool]],
    ended: Callable[[], None],
) -> ASGIApp:
    """Return the Readings as a file to be kept. gone: whether nobody wants it any more. ended:
    called when all of it is sent, or nobody does; not where this raises. Raises Problem.
    """
    thread = ThreadPoolExecutor(1, "download")
    loop = asyncio.get_running_loop()
    name = f"{asked.device}-{_stamp(asked.since)}-{_stamp(asked.until)}.{form}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    try:
        if form == "parquet":
            path = await loop.run_in_executor(thread, _to_parquet, history, asked)
            kind = "application/vnd.apache.parquet"
            file = FileResponse(path, headers=headers, media_type=kind)
            return _Then(file, lambda: _end(thread, lambda: _removed(path.parent), ended))
        pieces = await loop.run_in_executor(thread, _pieces, history, asked)
        # What is wrong with the store is said before anything is sent.
        first = await loop.run_in_executor(thread, next, pieces)
    except BaseException:
        thread.shutdown(wait=False)
        raise

    async def all_of() -> AsyncIterator[str]:
        piece: Any = first
        # uvicorn takes what is for nobody without a word.
        while piece is not None and not await gone():
            yield piece[0]
            piece = await loop.run_in_executor(thread, next, pieces, None)

    stream = StreamingResponse(all_of(), headers=headers, media_type="text/csv; charset=utf-8")
    return _Then(stream, lambda: _end(thread, pieces.close, ended))


def _end(thread: ThreadPoolExecutor, last: Callable[[], None], ended: Callable[[], None]) -> None:
    """Have the thread do a last thing, and end."""
    thread.submit(last)
    thread.shutdown(wait=False)
    ended()


def _removed(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _pieces(history: History, asked: Asked, fields: list[str] | None = None) -> Any:
    """Return the generator of texts; `fields` is filled with the names of the fields at once."""
    fields = [] if fields is None else fields
    found = history.rows(asked, fields)
    # The fields are known with the first row, and stand in the header before it.
    first = list(islice(found, 1))
    return rows.pieces(chain(first, found), fields)


def _to_parquet(history: History, asked: Asked) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="limpet-page-"))
    try:
        source, count = folder / "readings.csv", 0
        fields: list[str] = []
        with open(source, "w", encoding="utf-8", newline="") as file:
            for text, size in _pieces(history, asked, fields):
                file.write(text)
                count += size
                if count > MOST_ROWS:
                    raise Problem(
                        f"That is more than {MOST_ROWS:,} Readings.",
                        "Take a shorter time, or CSV, or `limpet export`.",
                    )
        path = folder / "readings.parquet"
        parquet(source, fields, path)
    except BaseException:
        _removed(folder)
        raise
    return path


def _stamp(ts: int) -> str:
    return datetime.fromtimestamp(ts, UTC).strftime("%Y%m%dT%H%M%SZ")
