"""A browser without a screen, for `limpet page`: HTTP with any headers, and the WebSocket."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

# Far above what anything here takes, so that only what never comes meets it.
TIMEOUT_S = 60.0
Frame = dict[str, Any]


class Answer(NamedTuple):
    """What came: status, headers by name in lower case, and the body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body decoded."""
        return json.loads(self.body)


class Visitor:
    """Whoever visits the page at `url`. cookie: what it sends along, once it has one."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)
        self.cookie = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str | None
    ) -> Answer:
        """Ask for a path as it is; `x_y="z"` is a header `x-y: z`, None one that is left out."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            given.setdefault("cookie", self.cookie)
        try:
            connection.putrequest(method, path, skip_host="host" in given)
            for name, value in given.items():
                if value is not None:
                    connection.putheader(name, value)
            if body is not None and "content-length" not in given:
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        """Ask for a path."""
        return self.ask("GET", path)

    def token(self) -> str:
        """Return what goes with each request that changes something."""
        return str(self.get("/api/session").json()["csrf"])

    def post(self, path: str, said: Any, **headers: str | None) -> Answer:
        """Send JSON as the page does; a header that is given is sent instead of the page's own."""
        own: dict[str, str | None] = {
            "content_type": "application/json",
            "origin": self.url,
            "x_limpet_csrf": headers["x_limpet_csrf"]
            if "x_limpet_csrf" in headers
            else self.token(),
        }
        return self.ask("POST", path, json.dumps(said).encode(), **(own | headers))

    def live(self, **how: Any) -> Live:
        """Connect as the page does; `how`: websockets' own."""
        headers = {"cookie": self.cookie} if self.cookie else {}
        how = {"origin": self.url, "additional_headers": headers, "max_size": None} | how
        return Live(connect(f"{self.url.replace('http', 'ws', 1)}/live", **how))


class Live:
    """A page that is open. frames: all that came so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.frames: list[Frame] = []

    def __enter__(self) -> Live:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def say(self, **frame: Any) -> None:
        """Say something as the page does."""
        self.socket.send(json.dumps(frame))

    def until(self, wanted: Callable[[Frame], Any], *, before: bool = True) -> Frame:
        """Wait for a frame, and return it; `before`: it may have come already."""
        if before:
            for each in self.frames:
                if wanted(each):
                    return each
        deadline = time.monotonic() + TIMEOUT_S
        while (left_s := deadline - time.monotonic()) > 0:
            try:
                frame = json.loads(self.socket.recv(timeout=left_s))
            except TimeoutError:
                break
            self.frames.append(frame)
            if wanted(frame):
                return dict(frame)
        raise AssertionError(f"it did not come; these did: {self.frames[-20:]}")

    def card(self, device: str, wanted: Callable[[Frame], Any]) -> Frame:
        """Wait for a card of a device that is as wanted, and return it."""
        found: list[Frame] = []

        def fits(frame: Frame) -> bool:
            cards = frame["cards"] if frame["t"] == "cards" else []
            found[:] = [each for each in cards if each["id"] == device and wanted(each)]
            return bool(found)

        self.until(fits)
        return found[0]
