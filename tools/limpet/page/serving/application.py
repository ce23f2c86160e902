"""What is asked for by HTTP, and the WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import mimetypes
import re
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from limpet.operating.levers.levers import Levers, NoLever
from limpet.page import commanding
from limpet.page.history import MOST_FIELDS, POINTS, Asked, History
from limpet.page.model.model import Model
from limpet.page.serving import downloads
from limpet.page.serving.guard import Access, Guard
from limpet.page.serving.hub import Hub
from limpet.page.serving.login import SESSION_S, TooManyError
from limpet.page.serving.rates import Rates
from limpet.shared.firmware import topics
from limpet.shared.problem import Problem

STATIC = Path(__file__).parents[1] / "static"
# Commands: so many at once, then one in so many seconds.
OF_ASKER, OF_DEVICE = (10, 1.0), (5, 2.0)
# For a body to come.
BODY_S = 10.0
# For a look into the history, with those before it.
LOOK_S = 50.0
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# Looks into the history, and downloads of it, each.
_AT_ONCE = 2
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,47}")


class Application:
    """All of the page. publish: sends a Command, which counts for ttl_s seconds; False where it
    cannot. on_error: called with a bug
    that ends it.
    """

    def __init__(
        self,
        model: Model,
        access: Access,
        hub: Hub,
        requests: commanding.Requests,
        publish: Callable[[str, bytes], bool],
        levers: Levers | None,
        history: History,
        ttl_s: int,
    ) -> None:
        self._model = model
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self._history = history
        self._ttl_s = ttl_s
        # Their own threads: a store that answers nobody is to hold up no login, and no lever.
        self._looking = ThreadPoolExecutor(_AT_ONCE, "history")
        self._downloads = asyncio.Semaphore(_AT_ONCE)
        self._of_asker, self._of_device = Rates(*OF_ASKER), Rates(*OF_DEVICE)
        self._access = access
        self._hub = hub
        self._requests = requests
        self._publish = publish
        self._levers = levers
        # The system may say otherwise of some, and browsers are told to believe what is said.
        for ending, kind in _KINDS.items():
            mimetypes.add_type(kind, ending)
        static = StaticFiles(directory=STATIC)
        routes = [
            Route("/", self._index),
            Route("/api/session", self._session),
            Route("/login", self._login, methods=["POST"]),
            Route("/logout", self._logout, methods=["POST"]),
            Route("/api/nodes/{id}/command", self._command, methods=["POST"]),
            Route("/api/nodes/{id}/history", self._history_of),
            Route("/api/nodes/{id}/download", self._download),
            Route("/api/levers/{name}", self._lever, methods=["POST"]),
            WebSocketRoute("/live", self._live),
            Mount("/static", static),
        ]
        self.asgi = Guard(
            Starlette(
                routes=routes,
                lifespan=self._running,
                exception_handlers={HTTPException: _failed, Problem: _problem},
            ),
            access,
        )

    @contextlib.asynccontextmanager
    async def _running(self, app: Starlette) -> AsyncIterator[None]:
        telling = asyncio.create_task(self._hub.run())
        telling.add_done_callback(self._told)
        yield
        telling.cancel()
        self._looking.shutdown(wait=False, cancel_futures=True)

    def _told(self, task: asyncio.Task[None]) -> None:
        """Without whom browsers are told by there is no page: what it ended by ends all."""
        if not task.cancelled() and (error := task.exception()):
            self.on_error(error)

    async def _index(self, request: Request) -> Response:
        return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})

    async def _session(self, request: Request) -> Response:
        access = self._access
        session = access.session(request.headers)
        return JSONResponse(
            {
                "user": "operator" if session else None,
                "login": access.login is not None and session is None,
                "rights": "operate" if access.operate else "read",
                "csrf": access.token(session),
            }
        )

    async def _login(self, request: Request) -> Response:
        access = self._access
        if access.login is None:
            return Response(status_code=204)
        password = (await _body(request)).get("password")
        if not isinstance(password, str):
            return _error(400, "There is no password.", "Send it.")
        try:
            key = await access.login.try_password(password, str(request.scope["client"][0]))
        except TooManyError as error:
            return _too_many("tries", error.wait_s)
        if key is None:
            return _error(401, "That is not the password.", "Try again.")
        done = Response(status_code=204)
        done.set_cookie(
            access.cookie,
            key,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=access.secure,
        )
        return done

    async def _logout(self, request: Request) -> Response:
        access = self._access
        if access.login:
            access.login.end(access.key(request.headers))
        done = Response(status_code=204)
        done.delete_cookie(access.cookie, httponly=True, samesite="strict", secure=access.secure)
        return done

    async def _live(self, socket: WebSocket) -> None:
        login, key = self._access.login, self._access.key(socket.headers)
        await self._hub.serve(socket, lambda: login is None or login.session(key) is not None)

    def _asker(self, request: Request) -> str:
        """Return whose request it is: of a session, where there are some, else of an address."""
        key = self._access.key(request.headers) if self._access.login else None
        return key or str(request.scope["client"][0])

    def _may_operate(self) -> None:
        if not self._access.operate:
            raise HTTPException(403, "This page only reads.")

    async def _command(self, request: Request) -> Response:
        self._may_operate()
        device = request.path_params["id"]
        body = await _body(request)
        base = self._model.bases.get(device)
        if base is None:
            return _error(404, "There is no such device.", "Choose another one.")
        try:
            # What is none costs nobody anything.
            action, params = body.get("action"), body.get("params", {})
            made, payload = commanding.command(action, params, self._ttl_s)
        except Problem as problem:
            return _error(400, problem.cause, problem.remedy)
        rates = (self._of_asker.of(self._asker(request)), self._of_device.of(device))
        if wait_s := max(each.wait_s() for each in rates):
            return _too_many("Commands", wait_s)
        for each in rates:
            each.take()
        self._requests.begin(made, device, base)
        if not self._publish(f"{base}/{topics.COMMANDS}", payload):
            self._requests.forget(made)
            return _error(503, "There is no connection to the broker.", "Try again later.")
        return JSONResponse({"request": made}, 202)

    async def _history_of(self, request: Request) -> Response:
        asked = self._asked(request)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(LOOK_S):
                found = await loop.run_in_executor(self._looking, self._history.answer, asked)
        except TimeoutError:
            return _error(503, "The store takes too long.", "Try again later, or ask for less.")
        return JSONResponse(found)

    async def _download(self, request: Request) -> ASGIApp:
        asked = self._asked(request)
        form = request.query_params.get("format", "csv")
        if form not in ("csv", "parquet"):
            raise HTTPException(400, "There is csv and parquet.")
        if self._downloads.locked():
            return _error(503, "Others are downloading.", "Try again later.")
        await self._downloads.acquire()
        try:
            gone, release = request.is_disconnected, self._downloads.release
            return await downloads.answer(self._history, asked, form, gone, release)
        except BaseException:
            self._downloads.release()
            raise

    def _asked(self, request: Request) -> Asked:
        """Return what a request for history wants; raises HTTPException."""
        device, query = request.path_params["id"], request.query_params
        if device not in self._model.nodes:
            raise HTTPException(404, "There is no such device.")
        until = math.ceil(_number(query.get("to"), time.time() + 1))
        since = int(_number(query.get("from"), until - 3600))
        points = int(min(max(_number(query.get("points"), 800), POINTS[0]), POINTS[1]))
        if not 0 <= since < until < 1 << 32:
            raise HTTPException(400, "from is not before to.")
        fields = tuple(dict.fromkeys(query.getlist("field")))
        if len(fields) > MOST_FIELDS or not all(map(_FIELD.fullmatch, fields)):
            raise HTTPException(400, "These are no fields.")
        return Asked(device, fields, since, until, points)

    async def _lever(self, request: Request) -> Response:
        self._may_operate()
        if self._levers is None:
            return _error(404, "There are no levers here.", "`limpet run` has them.")
        value = (await _body(request)).get("value")
        name = request.path_params["name"]
        try:
            now = await asyncio.to_thread(self._levers.set, name, value)
        except Problem as problem:
            status = 404 if isinstance(problem, NoLever) else 400
            return _error(status, problem.cause, problem.remedy)
        return JSONResponse({"levers": now})


def _number(text: str | None, default: float) -> float:
    """Return a number of a query; raises HTTPException."""
    try:
        found = default if text is None else float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise HTTPException(400, "That is no number.")
    return found


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that came; raises HTTPException."""
    try:
        async with asyncio.timeout(BODY_S):
            found = json.loads(await request.body())
    except TimeoutError:
        raise HTTPException(408, "That takes too long.") from None
    except ClientDisconnect:
        raise HTTPException(413, "That is too long.") from None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HTTPException(400, "That is no JSON object.")
    return found


def _error(status: int, cause: str, remedy: str) -> JSONResponse:
    return JSONResponse({"error": cause, "remedy": remedy}, status)


def _too_many(what: str, wait_s: float) -> JSONResponse:
    whole_s = int(wait_s) + 1
    answer = _error(429, f"Too many {what}.", f"Wait for {whole_s} s.")
    answer.headers["retry-after"] = str(whole_s)
    return answer


_REMEDIES = {
    400: "Ask for it as the page does: docs/page.md, History.",
    404: "Go to the page itself, /.",
    405: "Use GET or POST.",
    408: "Send it at once.",
    413: "Send less.",
}


async def _failed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    remedy = _REMEDIES.get(error.status_code, "Load the page again.")
    if error.status_code == 404 and error.detail == "Not Found":  # Starlette's own
        return _error(404, "There is nothing at this address.", remedy)
    return _error(error.status_code, error.detail, remedy)


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return _error(503, error.cause, error.remedy)
