"""The browsers that are connected: who is told what, four times a second.

What changed is put into words once for all browsers. A browser that is slow keeps the number of the
change that it has seen, and gets all that is newer when it can take it again: what waits for it is
bounded by QUEUE.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from limpet.page.commanding import Requests
from limpet.page.model.model import Model, News
from limpet.shared import plain

FRAME_S = 0.25
TOPICS_S = 1.0
# Frames, each of some texts, that wait for one browser.
QUEUE = 2
PIECE = 250
MOST_BROWSERS = 64
# Of what a browser says.
MOST_BYTES = 2048
MOST_A_SECOND = 20.0
BURST = 40.0
# Why a connection is closed. At the page's own end uvicorn says 1012.
TOO_MANY, TOO_FAST, ENDED = 1013, 1008, 4401


# One for all: json.dumps would make one for each frame. Escaped, as half a surrogate pair, which a
# device can say, is no UTF-8.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def words(frame: Any) -> str:
    """Return a frame as it is sent, whatever a device has put into it."""
    try:
        return _ENCODER.encode(frame)
    except (ValueError, RecursionError):
        return _ENCODER.encode(plain.told(frame))


class Browser:
    """One that is connected. seen: the number of the last change that it was told of. watching: the
    device that it looks at. valid: whether its session still counts. missed: whether something that
    is said once did not reach it.
    """

    def __init__(self, socket: WebSocket, valid: Callable[[], bool]) -> None:
        self.socket = socket
        self.valid = valid
        self.queue: asyncio.Queue[list[str]] = asyncio.Queue(QUEUE)
        self.seen = -1
        self.watching: str | None = None
        self.topics = False
        self.topics_at = 0.0
        self.missed = False
        self.fresh = False  # whether what it watches was not shown yet


class Hub:
    """All of them. hello: what a browser is told first. beside: levers and scene of a demo as they
    are now, None where there is none.
    """

    def __init__(
        self,
        model: Model,
        requests: Requests,
        hello: Callable[[], dict[str, Any]],
        beside: Callable[[], dict[str, Any]],
    ) -> None:
        self._model = model
        self._requests = requests
        self._hello = hello
        self._beside = beside
        self.browsers: set[Browser] = set()
        self._broker: Any = None
        self._shown = beside()
        self._known: dict[int, str] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def serve(self, socket: WebSocket, valid: Callable[[], bool]) -> None:
        """Have a browser connected, until it leaves. valid: whether its session still counts."""
        await socket.accept()
        if len(self.browsers) >= MOST_BROWSERS:
            await socket.close(TOO_MANY, f"{MOST_BROWSERS} browsers are connected, which is all.")
            return
        browser = Browser(socket, valid)
        with self._model.lock:
            self._begin(browser)
        self.browsers.add(browser)
        telling = asyncio.create_task(_tell(browser))
        try:
            await self._listen(browser)
        finally:
            telling.cancel()
            self.browsers.discard(browser)
            self._watch(browser, None)

    async def _listen(self, browser: Browser) -> None:
        allowance, at = BURST, time.monotonic()
        with contextlib.suppress(RuntimeError):
            while True:
                came = await browser.socket.receive()
                if came["type"] == "websocket.disconnect":
                    return
                text = came.get("text") or ""  # what is no text says nothing
                now = time.monotonic()
                allowance, at = min(BURST, allowance + (now - at) * MOST_A_SECOND), now
                allowance -= 1
                if allowance < 0 or len(text) > MOST_BYTES:
                    await _close(browser, TOO_FAST, "Too much is asked for.")
                    return
                self._asked(browser, text)

    def _asked(self, browser: Browser, text: str) -> None:
        try:
            asked = json.loads(text)
        except (ValueError, RecursionError):
            return
        if not isinstance(asked, dict):
            return
        if asked.get("t") == "watch":
            device = asked.get("id")
            self._watch(browser, device if isinstance(device, str) else None)
        elif asked.get("t") == "topics":
            browser.topics = asked.get("on") is True
            browser.topics_at = 0.0

    def _watch(self, browser: Browser, device: str | None) -> None:
        with self._model.lock:
            watched = self._model.watched
            if before := browser.watching:
                watched[before] -= 1
                if watched[before] <= 0:
                    del watched[before]
            # Also one that is not registered yet: it is shown when it is there.
            browser.watching = device
            if device:
                watched[device] += 1
                browser.fresh = True

    # Four times a second.

    async def run(self) -> None:
        """Tell the browsers what is new, for ever."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + FRAME_S, loop.time())
            await asyncio.sleep(due - loop.time())
            self._tick()
            self._expire()

    def _expire(self) -> None:
        for browser in [each for each in self.browsers if not each.valid()]:
            self.browsers.discard(browser)
            # Not waited for: one that takes nothing would hold up all others.
            closing = asyncio.create_task(_close(browser, ENDED, "The session has ended."))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    def _tick(self) -> None:
        model = self._model
        with model.lock:
            news, model.news = model.news, []
            left_out, model.left_out = model.left_out, 0
            details, model.details = model.details, set()
            broker, number = model.broker(), model.number
            same: dict[int, list[str]] = {}
            shown = {each: words(model.detail(each)) for each in details if each in model.nodes}
            common = self._common(broker, left_out)
            for browser in self.browsers:
                if browser.queue.full():
                    browser.missed = browser.missed or bool(common or news)
                    continue
                texts = list(common)
                texts += self._cards(browser, same)
                texts += self._watched(browser, shown, news)
                if browser.topics and time.monotonic() - browser.topics_at >= TOPICS_S:
                    browser.topics_at = time.monotonic()
                    texts.append(self._topics(same))
                browser.seen = number
                if texts:
                    browser.queue.put_nowait(texts)
            self._known = {}

    def _common(self, broker: Any, left_out: int) -> list[str]:
        """Return what everybody is told."""
        texts = [words(each) for each in self._requests.ended()]
        if broker != self._broker:
            self._broker = broker
            texts.append(words({"t": "broker", **broker}))
        beside = self._beside()
        texts += [words(each) for each in _changed(self._shown, beside)]
        self._shown = beside
        if left_out:
            text = f"Too much at once: {left_out} events are left out here."
            texts.append(words({"t": "say", "weight": "bad", "text": text}))
        return texts

    def _begin(self, browser: Browser) -> None:
        """Put what a browser is told first."""
        model = self._model
        now = time.time()
        browser.seen = model.number
        texts = [words({"t": "hello", **self._hello(), "now": round(now, 3)})]
        texts += _pieces((words(model.card(each, now, spark=True)) for each in model.bases), True)
        browser.queue.put_nowait(texts)

    def _cards(self, browser: Browser, same: dict[int, list[str]]) -> list[str]:
        """Return the cards that are new to a browser: put into words once for all of the same."""
        if browser.seen not in same:
            model, now = self._model, time.time()
            texts = []
            for device in model.newer(browser.seen):
                number = model.changed[device]
                if number not in self._known:
                    self._known[number] = words(model.card(device, now))
                texts.append(self._known[number])
            if (
                model.gone
                and len(model.gone) == model.gone.maxlen
                and model.gone[0][0] > browser.seen
            ):
                # More have left than is remembered.
                every = (words(model.card(each, now, spark=True)) for each in model.bases)
                same[browser.seen] = _pieces(every, True)
                return same[browser.seen]
            gone = [name for at, name in model.gone if at > browser.seen]
            frames = [words({"t": "gone", "ids": gone})] if gone else []
            same[browser.seen] = frames + (_pieces(texts, False) if texts else [])
        return same[browser.seen]

    def _watched(self, browser: Browser, shown: dict[str, str], news: Iterable[News]) -> list[str]:
        """Return what has happened to the device that a browser looks at, and to all others what
        everybody is told.
        """
        watching = browser.watching
        texts: list[str] = []
        if browser.missed:
            browser.missed, browser.fresh = False, watching is not None
            self._broker_again(texts)
            text = "This browser was too slow for all of it: what is missing is loaded again."
            texts.append(words({"t": "say", "weight": "plain", "text": text, "missed": True}))
        if watching and watching not in self._model.nodes:
            browser.fresh = True
        elif watching and browser.fresh:
            browser.fresh = False
            events = list(self._model.nodes[watching].events)
            texts.append(words(self._model.detail(watching, trend=True)))
            texts.append(words({"t": "events", "id": watching, "events": events}))
            # Its events are told; a Reading may be newer than what the browser has asked for.
            news = [each for each in news if each.device != watching or each.kind != "event"]
        elif watching in shown:
            texts.append(shown[watching])
        for each in news:
            common = each.kind == "event" and each.frame["kind"] in ("status", "alert")
            if common or each.device == watching:
                texts.append(words(each.frame))
        return texts

    def _broker_again(self, texts: list[str]) -> None:
        texts.append(words({"t": "broker", **self._model.broker()}))
        texts += [words(each) for each in _changed({}, self._beside())]

    def _topics(self, same: dict[int, list[str]]) -> str:
        if -1 not in same:
            topics = self._model.topics
            found = {"count": len(topics.by_name), "more": topics.more, "topics": topics.rows()}
            same[-1] = [words({"t": "topics", **found})]
        return same[-1][0]


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[dict[str, Any]]:
    """Return frames of what there is beside the fleet, where it has changed."""
    found = []
    if now["levers"] is not None and now["levers"] != before.get("levers"):
        found.append({"t": "levers", "levers": now["levers"]})
    if now["scene"] is not None and now["scene"] != before.get("scene"):
        found.append({"t": "scene", **now["scene"]})
    return found


def _pieces(cards: Iterable[str], all_of: bool) -> list[str]:
    """Return frames with cards that are in words already."""
    texts = list(cards)
    starts = range(0, len(texts), PIECE) or [0]
    every = "true" if all_of else "false"
    return [
        f'{{"t":"cards","all":{every if at == starts[0] else "false"},'
        f'"last":{"true" if at + PIECE >= len(texts) else "false"},'
        f'"cards":[{",".join(texts[at : at + PIECE])}]}}'
        for at in starts
    ]


async def _tell(browser: Browser) -> None:
    """Send what waits for a browser, for ever."""
    try:
        while True:
            for text in await browser.queue.get():
                await browser.socket.send_text(text)
    except (WebSocketDisconnect, RuntimeError, OSError):
        return  # gone: `_listen` sees it too


async def _close(browser: Browser, code: int, why: str) -> None:
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
        if browser.socket.client_state == WebSocketState.CONNECTED:
            await browser.socket.close(code, why)
