"""Before everything else: whose page this is, whose request, how many; and the headers of all.

- The Host has to be one of ours: a name of somebody else's that leads here (DNS rebinding) would
  make his page ours to the browser.
- What changes something, and the WebSocket, has to come from our own page: by its Origin, and by a
  token that only our page can read.
- What an address may ask for is bounded by rate, and by size.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from limpet.page.serving.login import Login, Session
from limpet.page.serving.rates import Rates

CSRF = "x-limpet-csrf"
MAX_BODY = 16 * 1024
MAX_PATH = 2048
MAX_HEADERS = 16 * 1024
# From a request to the end of its answer, however slowly that is taken; of a download, for a piece.
ANSWER_S = 60.0
# Of one address: what a page with its modules takes at once, and then in a second.
BURST, EVERY_S = 200.0, 0.02

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)
_HEADERS = (
    ("content-security-policy", _POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
)
# What is there before somebody has logged in.
_OPEN = ("/", "/api/session", "/login", "/favicon.ico")


@dataclass
class Access:
    """Who may what. hosts: the names by which browsers may call us, in lower case, without a port.
    login: None where none is needed. operate: whether Commands are taken. secure: whether browsers
    come by HTTPS. proxied: whether what comes is a reverse proxy's, which says for whom.
    """

    hosts: frozenset[str]
    login: Login | None = None
    operate: bool = True
    secure: bool = False
    proxied: bool = False
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def cookie(self) -> str:
        """The name of the cookie; that prefix binds it to this very host, by HTTPS."""
        return "__Host-limpet" if self.secure else "limpet"

    def key(self, headers: Headers) -> str | None:
        """Return the key of the session that a request has, if any."""
        # Not http.cookies, which gives up at a cookie that it does not like: another program on
        # this host, whatever its port, may have set one.
        return cookie_parser(headers.get("cookie", "")).get(self.cookie)

    def session(self, headers: Headers) -> Session | None:
        """Return the session of a request; None where there is none."""
        return self.login.session(self.key(headers)) if self.login else None

    def token(self, session: Session | None) -> str:
        """Return the token that goes with a session; the page's own where none is needed."""
        if self.login is None:
            return self.csrf
        return session.csrf if session else ""


class Guard:
    """An ASGI application before another one."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._rates = Rates(BURST, EVERY_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let it through, or say why not."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope["client"] = (self._address(scope, headers), 0)
        refused = self._refused(scope, headers)
        if scope["type"] == "websocket":
            if refused:
                await _refuse_socket(receive, send, *refused)
            else:
                await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = Headers(raw=message.setdefault("headers", []))
                fresh = _AGAIN if scope["path"].startswith("/static/") else _FRESH
                more = [*_HEADERS] if "cache-control" in own else [*_HEADERS, fresh]
                if self._access.secure:
                    more.append(("strict-transport-security", "max-age=31536000"))
                message["headers"] = [
                    *message["headers"],
                    *((name.encode(), value.encode()) for name, value in more),
                ]
            await send(message)

        if refused:
            await _refuse(answer, *refused)
        else:
            long = scope["path"].endswith("/download")
            try:
                async with asyncio.timeout(None if long else ANSWER_S):
                    sending = _in_time(answer) if long else answer
                    await self._app(scope, _bounded(receive), sending)
            except (TimeoutError, ClientDisconnect):
                return  # who is that slow is cut off

    def _address(self, scope: Scope, headers: Headers) -> str:
        """Return whose request it is. What a proxy says counts only where one was announced, and
        of that the last, which is what this proxy itself has seen.
        """
        if self._access.proxied and (said := headers.getlist("x-forwarded-for")):
            return said[-1].rpartition(",")[2].strip()[:64]
        client = scope.get("client")
        return str(client[0]) if client else ""

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        """Return status, cause and remedy of what is refused."""
        socket = scope["type"] == "websocket"
        method = "GET" if socket else scope["method"]
        path = scope["path"]
        if not self._known_host(headers):
            return 421, "This page is not called that.", "limpet page --name says how it is called."
        if not self._within_rate(scope["client"][0]):
            return 429, "Too many requests.", "Wait a moment."
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
            return 431, "The headers are too long.", "Send fewer cookies."
        if len(path) + len(scope.get("query_string", b"")) > MAX_PATH:
            return 414, "The address is too long.", "Ask for less."
        if method not in ("GET", "HEAD", "POST"):
            return 405, "There is no such method here.", "Use GET or POST."
        session = self._access.session(headers)
        if (socket or method == "POST") and not self._own_origin(headers):
            return 403, "That comes from another page.", "Use the page itself."
        # It could not read the answer, but take the time and the room of a download.
        if path.startswith("/api/") and headers.get("sec-fetch-site") in _ELSEWHERE:
            return 403, "Another site asks for that.", "Use the page itself."
        needed = self._access.login is not None and session is None
        if needed and not (path in _OPEN or path.startswith("/static/")):
            return 401, "A login is needed.", "Log in."
        if method == "POST" and path != "/login":
            said = headers.get(CSRF, "")
            token = self._access.token(session)
            if not token or not hmac.compare_digest(said.encode(), token.encode()):
                return 403, "The token of the page is missing.", "Load the page again."
        if method == "POST":
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return 415, "That is no JSON.", "Send application/json."
            size = headers.get("content-length", "0")
            if not size.isdecimal() or int(size) > MAX_BODY:
                return 413, "That is too long.", f"Send {MAX_BODY} bytes at most."
        return None

    def _known_host(self, headers: Headers) -> bool:
        hosts = headers.getlist("host")
        return len(hosts) == 1 and _name(hosts[0]) in self._access.hosts

    def _own_origin(self, headers: Headers) -> bool:
        origins = headers.getlist("origin")
        scheme = "https" if self._access.secure else "http"
        own = f"{scheme}://{headers.get('host', '')}".lower()
        return len(origins) == 1 and _whole(origins[0].lower()) == _whole(own)

    def _within_rate(self, address: str) -> bool:
        rate = self._rates.of(address)
        if rate.wait_s():
            return False
        rate.take()
        return True


# What browsers say of a request that a page of another origin has begun.
_ELSEWHERE = ("cross-site", "same-site")
_FRESH = ("cache-control", "no-store")
# Of a file: it is asked for again, and answered with 304 where it is the same.
_AGAIN = ("cache-control", "no-cache")


def _name(host: str) -> str:
    """Return the name in a Host, in lower case, without brackets and port; empty for none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _whole(origin: str) -> str:
    """Return an origin with its port, as browsers leave out the usual one."""
    usual = {"http": ":80", "https": ":443"}.get(origin.partition(":")[0], "")
    return origin.removesuffix(usual) if usual else origin


def _in_time(send: Send) -> Send:
    """Return the same, which gives somebody ANSWER_S to take a piece."""

    async def in_time(message: Message) -> None:
        async with asyncio.timeout(ANSWER_S):
            await send(message)

    return in_time


def _bounded(receive: Receive) -> Receive:
    """Return the same, which ends a body that is longer than it may be."""
    size = 0

    async def bounded() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > MAX_BODY:
                return {"type": "http.disconnect"}
        return message

    return bounded


async def _refuse(send: Send, status: int, cause: str, remedy: str) -> None:
    body = json.dumps({"error": cause, "remedy": remedy}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    # What is still to come of this request is not read.
    headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse_socket(
    receive: Receive, send: Send, status: int, cause: str, remedy: str
) -> None:
    await receive()
    body = json.dumps({"error": cause, "remedy": remedy}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
