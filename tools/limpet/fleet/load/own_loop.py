"""The consumer on a thread and a loop of its own.

A broker sends it some hundred Messages ahead of its acknowledgements. On the light nodes' loop,
which is busy for a tenth of a second and more when thousands of them connect, it would be what
bounds the Readings a second, and its lateness would be taken for the broker's.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from threading import Thread

from limpet.fleet.load.consumer import Consumer

_END_S = 5


class OwnLoop:
    """A consumer, made by `make` on that loop; what it offers is to be called on the nodes' own. A
    context manager.
    """

    def __init__(self, make: Callable[[], Consumer]) -> None:
        import uvloop

        self._make = make
        self._loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="consumer", daemon=True)

    def __enter__(self) -> "OwnLoop":
        async def made() -> Consumer:
            return self._make()

        self._thread.start()
        self._consumer = asyncio.run_coroutine_threadsafe(made(), self._loop).result(_END_S)
        return self

    def __exit__(self, *error: object) -> None:
        async def ended() -> None:
            self._consumer.stop()
            await asyncio.sleep(0)
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(ended(), self._loop).result(_END_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_S)

    @property
    def up(self) -> bool:
        """Whether it is connected and has subscribed."""
        return self._consumer.up

    async def start(self) -> None:
        """As Consumer.start. Raises Problem."""
        await self._there(self._consumer.start())

    async def forget(self) -> None:
        """As Consumer.forget. Raises Problem."""
        await self._there(self._consumer.forget())

    def look(self) -> None:
        """As Consumer.look."""
        self._loop.call_soon_threadsafe(self._consumer.look)

    def stop(self) -> None:
        """As Consumer.stop."""
        self._loop.call_soon_threadsafe(self._consumer.stop)

    async def _there(self, what: Coroutine[object, object, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(what, self._loop))
