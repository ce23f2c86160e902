"""An event loop in a thread of its own, for what goes on while others wait."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

# Far above what anything here takes, so that only a hang meets it.
_LIMIT_S = 60


class Looped:
    """Runs `_loop` in a thread named `name`, from `_start_loop()` to `_end_loop()`."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def _start_loop(self) -> None:
        self._thread.start()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LIMIT_S)
        self._loop.close()

    def _run(self, what: Coroutine[Any, Any, None]) -> None:
        """Wait until `what` is done in the loop's thread."""
        asyncio.run_coroutine_threadsafe(what, self._loop).result(_LIMIT_S)

    def _do(self, what: Callable[[], object]) -> None:
        """Carry `what` out in the loop's thread, and come back when it is done."""

        async def once() -> None:
            what()

        self._run(once())
