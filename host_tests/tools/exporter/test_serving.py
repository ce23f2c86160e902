"""The exporter's HTTP server: slow clients, many clients, odd ones."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest
from limpet.exporter import serving
from limpet.exporter.serving import CLIENTS, Serving
from prometheus_client import CollectorRegistry, Gauge

LIMIT_S = 30.0


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serving]:
    """Serve one metric, with two seconds for each client."""
    monkeypatch.setattr(serving, "CLIENT_S", 2.0)
    registry = CollectorRegistry()
    Gauge("here", "Whether it is here.", registry=registry).set(1)
    with Serving(registry, "127.0.0.1", 0) as running:
        yield running


def connected(running: Serving) -> socket.socket:
    """Return a connection that has said nothing yet."""
    port = int(running.url.rpartition(":")[2].partition("/")[0])
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)


def scraped(running: Serving) -> bytes:
    """Return what is served; tried again while it is full."""
    limit = time.monotonic() + LIMIT_S
    while True:
        try:
            with urlopen(running.url, timeout=LIMIT_S) as answer:
                return bytes(answer.read())
        except OSError:
            assert time.monotonic() < limit
            time.sleep(0.1)


def test_slow_clients_are_cut_off(served: Serving) -> None:
    """Who says nothing, or a byte now and then, is gone after its time; all others are served."""
    assert b"\nhere 1.0\n" in scraped(served)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(connected(served)) for _ in range(CLIENTS)]
        silent[0].sendall(b"GET /metrics HTTP/1.1\r\n")
        dripping = time.monotonic() + LIMIT_S
        with contextlib.suppress(OSError):
            while time.monotonic() < dripping:
                silent[0].sendall(b"x")
                time.sleep(0.3)
        assert time.monotonic() < dripping, "it may drip for ever"
        assert b"\nhere 1.0\n" in scraped(served)


def test_no_more_than_so_many(served: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is sent away at once, not held."""
    monkeypatch.setattr(serving, "CLIENT_S", LIMIT_S)
    with contextlib.ExitStack() as stack:
        for _ in range(CLIENTS):
            stack.enter_context(connected(served))
        one_more = stack.enter_context(connected(served))
        with contextlib.suppress(ConnectionResetError):
            assert one_more.recv(1) == b""
    assert b"\nhere 1.0\n" in scraped(served)


def test_odd_requests(served: Serving, capfd: pytest.CaptureFixture[str]) -> None:
    """None of them is more than an answer, or none."""
    for said in (b"\r\n\r\n", b"\xff\x00\r\n\r\n", b"GET\r\n\r\n", b"POST / HTTP/1.0\r\n\r\n"):
        with connected(served) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                while client.recv(4096):
                    pass
    with connected(served) as client:
        client.sendall(b"GET /metrics?name[]=%ff HTTP/1.0\r\n\r\n")
    assert b"\nhere 1.0\n" in scraped(served)
    assert "Traceback" not in capfd.readouterr().err
