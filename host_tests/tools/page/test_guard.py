"""Who may what: by Host, Origin, token, login, size and rate; and the headers of all answers."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from limpet.identity.provisioning import Setup
from limpet.page.asked import LOOPBACK, Serving
from limpet.page.serving import login, server
from limpet.page.serving.guard import BURST, MAX_BODY, Access
from limpet.page.serving.hub import MOST_BROWSERS
from limpet.page.serving.login import Login, set_password
from limpet.shared.problem import Problem
from support.page_here import page_here
from support.page_visitor import Live, Visitor
from websockets.exceptions import ConnectionClosed, InvalidStatus

COMMAND = "/api/nodes/node-1/command"
PASSWORD = "a horse, a battery and a staple"  # noqa: S105 - of a page that lives in a test


@pytest.fixture(scope="module")
def password(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the password of a page."""
    folder = tmp_path_factory.mktemp("page")
    set_password(folder, PASSWORD)
    return folder


@pytest.fixture
def visitor(setup: Setup) -> Iterator[Visitor]:
    """Somebody who visits a page on loopback."""
    with page_here(setup) as (_, visitor):
        yield visitor


@contextlib.contextmanager
def guarded(setup: Setup, password: Path, **how: Any) -> Iterator[Visitor]:
    """Run a page with a login."""
    access = Access(LOOPBACK, Login(password / login.FILE), **({"operate": False} | how))
    with page_here(setup, access=access) as (_, visitor):
        yield visitor


def logged_in(visitor: Visitor, password: str = PASSWORD) -> int:
    """Give the password, and keep the cookie; the status."""
    answer = visitor.post("/login", {"password": password}, x_limpet_csrf=None)
    if answer.status == 204:
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        visitor.cookie = cookie.partition(";")[0]
    return answer.status


def closed(page: Live) -> tuple[int, str]:
    """Read until it is closed; with which code, and why."""
    try:
        while True:
            page.socket.recv(timeout=60)
    except ConnectionClosed as error:
        return (error.rcvd.code, error.rcvd.reason) if error.rcvd else (0, "")


def refused(visitor: Visitor, **how: Any) -> int:
    """Open the WebSocket; with which status it is refused."""
    with pytest.raises(InvalidStatus) as error:
        visitor.live(**how)
    return error.value.response.status_code


def test_headers(visitor: Visitor) -> None:
    """What keeps a browser from doing others' will is in every answer; who we are is in none."""
    for path in ("/", "/static/icon.svg", "/api/session", "/nothing", "/api/nodes/x/history"):
        headers = visitor.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "cache-control" in headers
        assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example", "[::2]:1"]
)
def test_host(visitor: Visitor, host: str) -> None:
    """A page that is called otherwise is somebody else's, whose name leads here."""
    assert visitor.ask("GET", "/api/session", host=host).status in (400, 421)
    assert visitor.ask("GET", "/api/session", host=f"LOCALHOST:{visitor.port}").status == 200


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "https://127.0.0.1"])
def test_origin(visitor: Visitor, origin: str | None) -> None:
    """Another page may neither listen nor ask for anything to be done."""
    assert visitor.post(COMMAND, {"action": "ping"}, origin=origin).status == 403
    assert refused(visitor, origin=origin) == 403


def test_another_site_begins_a_download(visitor: Visitor) -> None:
    """It could not read it, but take its place; who typed the address, and the page itself, may."""
    path = "/api/session"
    for site, status in (
        ("cross-site", 403),
        ("same-site", 403),
        ("same-origin", 200),
        ("none", 200),
    ):
        assert visitor.ask("GET", path, sec_fetch_site=site).status == status


def test_csrf(visitor: Visitor) -> None:
    """Without the token, or with another one, nothing is done; JSON alone is taken."""
    for token in (None, "", "wrong", "é"):
        assert visitor.post(COMMAND, {"action": "ping"}, x_limpet_csrf=token).status == 403
    answer = visitor.post(COMMAND, {"action": "ping"}, content_type="text/plain")
    assert answer.status == 415
    # With all of it, it is the broker that is missing.
    answer = visitor.post(COMMAND, {"action": "ping"})
    assert (answer.status, answer.json()["error"]) == (
        503,
        "There is no connection to the broker.",
    )


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"action": "format_c"}, 400),
        ({"action": ["ping"]}, 400),
        ({"action": "identify", "params": {"seconds": 10**9}}, 400),
        ({"action": "identify", "params": {"seconds": True}}, 400),
        ({"action": "identify", "params": {"<script>": 1}}, 400),
        ({"action": "ping", "params": 3}, 400),
        ([], 400),
        ("ping", 400),
        ({"action": "x" * MAX_BODY}, 413),
    ],
)
def test_what_is_no_command(visitor: Visitor, said: Any, status: int) -> None:
    """It is refused with cause and remedy, and goes to no node."""
    answer = visitor.post(COMMAND, said)
    assert answer.status == status
    assert answer.json()["error"]
    assert visitor.post("/api/nodes/nobody/command", {"action": "ping"}).status == 404


def test_commands_by_the_hundred(visitor: Visitor) -> None:
    """A device gets a few, and so does who sends them to all; then they wait."""
    statuses = [visitor.post(COMMAND, {"action": "ping"}).status for _ in range(8)]
    assert statuses[:5] == [503] * 5  # as there is no broker
    assert statuses[-1] == 429
    other = "/api/nodes/node-2/command"
    assert visitor.post(other, {"action": "ping"}).status == 503
    statuses = [visitor.post(other, {"action": "ping"}).status for _ in range(12)]
    assert statuses[-1] == 429


def test_a_body_without_end(visitor: Visitor) -> None:
    """Of one that says no length, no more is read than may be."""
    token = visitor.token()
    with socket.create_connection((visitor.host, visitor.port), timeout=60) as raw:
        head = (
            f"POST {COMMAND} HTTP/1.1\r\nhost: {visitor.host}\r\norigin: {visitor.url}\r\n"
            f"content-type: application/json\r\nx-limpet-csrf: {token}\r\n"
            "transfer-encoding: chunked\r\n\r\n"
        ).replace(f"host: {visitor.host}\r", f"host: {visitor.host}:{visitor.port}\r")
        raw.sendall(head.encode())
        piece = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(1000):
                raw.sendall(piece)
        with contextlib.suppress(OSError):
            assert b"413" in raw.recv(4096)
    assert visitor.get("/api/session").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../page.py",
        "/static/%2e%2e/page.py",
        "/static/..%2fpage.py",
        "/static/js/../../assembly.py",
        "/static//etc/passwd",
        "/static/%00",
        "//evil.example/",
    ],
)
def test_no_way_out(visitor: Visitor, path: str) -> None:
    """Only what lies in static/ is given out."""
    assert visitor.get(path).status in (400, 404)


def test_an_unknown_path(visitor: Visitor) -> None:
    """It is told with where to go instead."""
    for path in ("/nothing", "/static/nothing.js", "/api/nodes/nobody/history"):
        answer = visitor.get(path)
        assert answer.status == 404
        assert "Go to the page" in answer.json()["remedy"]
    assert visitor.get("/nothing").json()["error"] == "There is nothing at this address."


def test_methods_and_lengths(visitor: Visitor) -> None:
    """What is no GET, HEAD or POST, and what is too long, is refused."""
    assert visitor.ask("PUT", "/").status == 405
    assert visitor.ask("DELETE", "/api/session").status == 405
    assert visitor.get("/api/session?" + "x" * 3000).status == 414
    assert visitor.ask("GET", "/", cookie="x" * 20_000).status == 431
    assert visitor.ask("GET", "/", cookie="x" * 100_000).status in (400, 431)


def test_rate(visitor: Visitor) -> None:
    """Whoever asks too much is told so, and may ask again soon."""
    statuses = [visitor.get("/api/session").status for _ in range(int(BURST) + 150)]
    if 429 not in statuses:  # a machine so slow that the page was never asked too much
        return
    assert statuses[:50] == [200] * 50
    deadline = time.monotonic() + 60
    while visitor.get("/api/session").status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_who_asks_for_nothing(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection on which nothing, or half a request, comes is ended; too many are refused."""
    monkeypatch.setattr(server, "ASK_S", 0.3)
    with page_here(setup) as (_, visitor):
        for half in (b"", b"GET / HTTP/1.1\r\nhost:"):
            with socket.create_connection((visitor.host, visitor.port), timeout=60) as raw:
                raw.sendall(half)
                with contextlib.suppress(ConnectionResetError):
                    assert raw.recv(100) == b""
    monkeypatch.setattr(server, "ASK_S", 30.0)
    monkeypatch.setattr(server, "CONNECTIONS", 5)
    with page_here(setup) as (_, visitor), contextlib.ExitStack() as stack:
        address = (visitor.host, visitor.port)
        for _ in range(5):
            stack.enter_context(socket.create_connection(address, timeout=60))
        deadline = time.monotonic() + 60
        while True:
            with socket.create_connection(address, timeout=60) as raw:
                raw.sendall(b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
                if b" 503 " in raw.recv(1000):
                    break
            assert time.monotonic() < deadline


@pytest.mark.parametrize("more", ["POST /live", "GET /live HTTP/1.1\r\ncontent-length: 5"])
def test_a_websocket_that_does_not_begin(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    """What asks for one, and is none, is ended like what asks for nothing."""
    monkeypatch.setattr(server, "ASK_S", 0.3)
    first, _, header = more.partition(" HTTP/1.1\r\n")
    with page_here(setup) as (_, visitor):
        text = (
            f"{first} HTTP/1.1\r\nhost: 127.0.0.1:{visitor.port}\r\norigin: {visitor.url}\r\n"
            "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{header}\r\n\r\n"
        )
        with socket.create_connection((visitor.host, visitor.port), timeout=60) as raw:
            raw.sendall(text.replace("\r\n\r\n\r\n", "\r\n\r\n").encode())
            with contextlib.suppress(ConnectionResetError):
                while raw.recv(1000):
                    pass


def test_what_others_send_is_no_bug(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody fills a log with tracebacks by what is no HTTP, and no WebSocket."""
    with page_here(setup) as (_, visitor):
        host = f"host: {visitor.host}:{visitor.port}\r\n"
        long = f"POST /logout HTTP/1.1\r\n{host}transfer-encoding: chunked\r\n\r\n5;{'a' * 30_000}"
        with socket.create_connection((visitor.host, visitor.port), timeout=60) as raw:
            raw.sendall(long.encode())
            with contextlib.suppress(ConnectionResetError):
                while raw.recv(1000):
                    pass
        with visitor.live() as page:
            page.socket.send(b"\xff")  # bytes
            page.say(t="watch", id="node-1")
            page.until(lambda frame: frame["t"] == "node")
            page.socket.send(b"\xff", text=True)
            assert closed(page)[0] == 1007
    assert not caplog.records


def test_cookies_of_others(setup: Setup, password: Path) -> None:
    """What another program on this host has left in the browser logs nobody out."""
    with guarded(setup, password) as visitor:
        assert logged_in(visitor) == 204
        own = visitor.cookie
        for other in ('a="b', "bad[]=1", "a b=1", 'a={"b": [1]}', "$Version=1", "x" * 5000, ""):
            visitor.cookie = f"{other}; {own}"
            assert visitor.get("/api/nodes/node-1/history").status == 200


def test_login(setup: Setup, password: Path) -> None:
    """Without the password there is the empty page, and nothing else; with it there is all."""
    with guarded(setup, password) as visitor:
        assert visitor.get("/").status == 200
        said = visitor.get("/api/session").json()
        assert said == {"user": None, "login": True, "rights": "read", "csrf": ""}
        assert visitor.get("/api/nodes/node-1/history").status == 401
        assert refused(visitor) == 401
        assert logged_in(visitor, "another horse") == 401
        assert logged_in(visitor, "half a pair: \ud800") == 401
        assert logged_in(visitor) == 204
        assert visitor.get("/api/nodes/node-1/history").status == 200
        with visitor.live() as page:
            page.until(lambda frame: frame["t"] == "hello")
            assert visitor.post("/logout", {}).status == 204
            assert closed(page)[0] == 4401
        assert visitor.get("/api/nodes/node-1/history").status == 401


def test_another_password(setup: Setup, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts at once: who has given the one before is out."""
    monkeypatch.setattr(login, "LOOK_S", 0.0)
    set_password(tmp_path, PASSWORD)
    assert (tmp_path / login.FILE).stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in (tmp_path / login.FILE).read_text()
    with guarded(setup, tmp_path) as visitor:
        assert logged_in(visitor) == 204
        set_password(tmp_path, "quite another one")
        assert visitor.get("/api/nodes/node-1/history").status == 401
        assert logged_in(visitor) == 401
        assert logged_in(visitor, "quite another one") == 204


def test_sessions_end(setup: Setup, password: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By age, by idleness, and the oldest where there are too many."""
    with guarded(setup, password) as visitor:
        assert logged_in(visitor) == 204
        old = visitor.cookie
        with monkeypatch.context() as patched:
            patched.setattr(login, "IDLE_S", -1.0)
            assert visitor.get("/api/nodes/node-1/history").status == 401
        assert logged_in(visitor) == 204
        monkeypatch.setattr(login, "SESSIONS", 1)
        first = visitor.cookie
        assert first != old
        assert logged_in(visitor) == 204
        assert visitor.get("/api/nodes/node-1/history").status == 200
        visitor.cookie = first
        assert visitor.get("/api/nodes/node-1/history").status == 401
        for cookie in ("limpet=", "limpet=x; limpet=y", '"', "x" * 5000, "limpet=" + "a" * 1000):
            visitor.cookie = cookie
            assert visitor.get("/api/nodes/node-1/history").status == 401


def test_guessing(setup: Setup, password: Path) -> None:
    """A few tries of an address, then one in a while; who is logged in is not held up."""
    with guarded(setup, password) as visitor:
        assert logged_in(visitor) == 204
        statuses = [
            logged_in(Visitor(visitor.url), "wrong") for _ in range(login.OF_ADDRESS[0] + 3)
        ]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert visitor.get("/api/nodes/node-1/history").status == 200
        answer = visitor.post("/login", {"password": PASSWORD}, x_limpet_csrf=None)
        assert answer.status == 429
        assert int(answer.headers["retry-after"]) > 0


def test_whom_tries_are_counted_of() -> None:
    """An IPv4 address, however it is written; of IPv6 the half that one customer has."""
    named = {
        "192.0.2.1": "192.0.2.1",
        "::ffff:192.0.2.1": "192.0.2.1",
        "2001:db8:1:2:3:4:5:6": "2001:0db8:0001:0002",
        "fe80::1%eth0": "fe80:0000:0000:0000",
        "unix:": "unix:",
    }
    assert {each: login._network(each) for each in named} == named


def test_names() -> None:
    """They are as browsers say them; what none could say is refused, not taken and never met."""
    called = ["Page.example.", "bücher.example", "192.0.2.1", "my_host"]
    found = Serving(listen="[::1]:0", called=called).hosts()
    assert found == ["page.example", "xn--bcher-kva.example", "192.0.2.1", "my_host", "::1"]
    for wrong in ("page.example:8443", "https://page.example", "a b", "", "*", "ü" * 64, "\ud800"):
        with pytest.raises(Problem, match="is no host name"):
            Serving(called=[wrong]).hosts()


def test_a_proxy_is_believed_where_it_was_announced(setup: Setup, password: Path) -> None:
    """Tries are counted of whom the proxy names; else of whoever is connected."""
    for proxied, last in ((True, 401), (False, 429)):
        with guarded(setup, password, proxied=proxied) as visitor:
            statuses = [
                visitor.post(
                    "/login",
                    {"password": "wrong"},
                    x_limpet_csrf=None,
                    x_forwarded_for=f"6.6.6.6, 10.0.0.{i}",
                ).status
                for i in range(login.OF_ADDRESS[0] + 2)
            ]
            assert statuses[-1] == last


def test_it_only_reads(setup: Setup, password: Path) -> None:
    """No Command, no lever, and none of them is offered."""
    with guarded(setup, password) as visitor:
        assert logged_in(visitor) == 204
        assert visitor.post(COMMAND, {"action": "ping"}).status == 403
        assert visitor.post("/api/levers/network", {"value": True}).status == 403
        with visitor.live() as page:
            hello = page.until(lambda frame: frame["t"] == "hello")
            assert (hello["rights"], hello["actions"], hello["levers"]) == ("read", [], None)


def test_too_many_browsers(visitor: Visitor) -> None:
    """Two hundred come: some are served, and each other one is told that there is no room."""
    told = set()
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(visitor.live()) for _ in range(MOST_BROWSERS)]
        pages[0].until(lambda frame: frame["t"] == "hello")
        for _ in range(200 - MOST_BROWSERS):
            # Or so many come at once that they are too many requests.
            with contextlib.suppress(InvalidStatus), visitor.live() as page:
                told.add(closed(page))
        pages[-1].until(lambda frame: frame["t"] == "hello")
    assert told == {(1013, f"{MOST_BROWSERS} browsers are connected, which is all.")}
    deadline = time.monotonic() + 60
    while True:  # there is room again
        with contextlib.suppress(InvalidStatus, AssertionError, ConnectionClosed):
            with visitor.live() as page:
                page.until(lambda frame: frame["t"] == "hello")
            break
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize(
    "said",
    ["{", "[]", "3", '{"t":"watch"}', '{"t":"watch","id":["node-1"]}', '{"t":7}', "[" * 1500],
)
def test_garbage_from_a_browser(visitor: Visitor, said: str) -> None:
    """It is nothing."""
    with visitor.live() as page:
        page.socket.send(said)
        page.say(t="watch", id="node-1")
        page.until(lambda frame: frame["t"] == "node")


def test_a_browser_that_asks_too_much(visitor: Visitor) -> None:
    """Too long a frame, and too many, end its connection, and no other one's."""
    with visitor.live() as other:
        with visitor.live() as page:
            page.socket.send("x" * 3000)
            assert closed(page) == (1008, "Too much is asked for.")
        with visitor.live() as page:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(2000):
                    page.say(t="watch", id="node-1")
            assert closed(page)[0] == 1008
        with visitor.live() as page:
            page.socket.send(b"\x00\xff")
            page.socket.send(json.dumps({"t": "watch", "id": "node-2"}).encode())
            with contextlib.suppress(ConnectionClosed):
                page.until(lambda frame: frame["t"] == "node" or frame["t"] == "hello")
        other.say(t="watch", id="node-1")
        other.until(lambda frame: frame["t"] == "node")


def test_https(setup: Setup, tmp_path: Path) -> None:
    """By a certificate of the fleet's own authority; the cookie is bound to this host then."""
    from limpet.page import door

    set_password(tmp_path, PASSWORD)
    asked = Serving(listen="0.0.0.0:8443", called=["Page.example"])
    tls = door.tls(asked, setup.layout.root, tmp_path)
    assert tls
    assert Path(tls[1]).stat().st_mode & 0o777 == 0o600
    access = door.access(asked, tmp_path, True)
    assert not access.operate
    assert access.hosts == LOOPBACK | {"page.example"}
    with page_here(setup, access=access, tls=tls) as (_, visitor):
        trusting = ssl.create_default_context(cafile=setup.layout.ca_certificate)
        with (
            socket.create_connection((visitor.host, visitor.port), timeout=60) as raw,
            trusting.wrap_socket(raw, server_hostname="page.example") as secured,
        ):
            body = json.dumps({"password": PASSWORD})
            secured.sendall(
                (
                    "POST /login HTTP/1.1\r\nhost: page.example\r\ncontent-type: application/json"
                    f"\r\norigin: https://page.example\r\ncontent-length: {len(body)}\r\n"
                    f"connection: close\r\n\r\n{body}"
                ).encode()
            )
            answer = b""
            while piece := secured.recv(4096):
                answer += piece
        text = answer.decode().lower()
        assert " 204 " in text.partition("\r\n")[0]
        assert "set-cookie: __host-limpet=" in text
        assert "; secure" in text
        assert "strict-transport-security" in text
