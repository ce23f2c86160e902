"""The relay between node and broker: each way in which a network fails, and its end."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator

import pytest
from limpet.operating.levers.relay import LOOPBACK, Relay

TIMEOUT_S = 60
# For what is not to come: on the busiest machine too it would only be missed.
SILENCE_S = 0.5


class Echo:
    """A server that says back what it hears. `closes`: it ends each connection at once."""

    def __init__(self) -> None:
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        self.accepted = 0
        self.closes = False
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                one, _ = self._listener.accept()
                self.accepted += 1
                if self.closes:
                    one.close()
                else:
                    threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            while data := one.recv(4096):
                one.sendall(data)

    def close(self) -> None:
        """Nobody listens any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # which wakes accept
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    """A server, for as long as the test is."""
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def relay(echo: Echo) -> Iterator[Relay]:
    """A relay to it."""
    with Relay(echo.port) as opened:
        yield opened


def connected(relay: Relay, timeout_s: float = TIMEOUT_S) -> socket.socket:
    """Connect through it."""
    return socket.create_connection((LOOPBACK, relay.port), timeout_s)


def said_back(one: socket.socket, data: bytes) -> None:
    """Have it said back."""
    one.settimeout(TIMEOUT_S)
    one.sendall(data)
    heard = b""
    while len(heard) < len(data):
        piece = one.recv(65536)
        assert piece, "the end"
        heard += piece
    assert heard == data


def ended(one: socket.socket) -> bool:
    """Wait for its end."""
    one.settimeout(TIMEOUT_S)
    try:
        return one.recv(1) == b""
    except ConnectionResetError:
        return True


def silent(one: socket.socket) -> bool:
    """Whether nothing comes, for a while."""
    one.settimeout(SILENCE_S)
    try:
        return one.recv(1) is None
    except TimeoutError:
        return True


def test_passes_on_what_comes(relay: Relay, echo: Echo) -> None:
    """Both ways, more than any buffer holds, and the end."""
    with connected(relay) as one:
        data = bytes(range(256)) * 4096
        sender = threading.Thread(target=one.sendall, args=(data,))
        sender.start()
        heard = b""
        while len(heard) < len(data):
            heard += one.recv(65536)
        sender.join()
        assert heard == data
        one.shutdown(socket.SHUT_WR)
        assert ended(one)
    echo.closes = True
    with connected(relay) as one:
        assert ended(one)
    assert relay.accepted == 2


def test_what_is_held_comes_later(relay: Relay) -> None:
    """Whoever connects is let in; all that was said comes through in its order."""
    with connected(relay) as old:
        said_back(old, b"before")
        relay.hold()
        with connected(relay) as new:
            for one in (old, new):
                one.sendall(b"held ")
                assert silent(one)
                one.sendall(b"back")
            relay.release()
            for one in (old, new):
                heard = b""
                while len(heard) < 9:
                    heard += one.recv(9)
                assert heard == b"held back"


def test_deaf_is_neither_yes_nor_no(relay: Relay) -> None:
    """A connection waits, however often it is tried, and is there when somebody listens again; one
    that was there stays.
    """
    with connected(relay) as old:
        said_back(old, b"before")
        for _ in range(2):
            relay.deafen()
            relay.deafen()
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    connected(relay, SILENCE_S)
            said_back(old, b"as ever")
            with socket.socket() as waits:
                waits.setblocking(False)
                assert waits.connect_ex((LOOPBACK, relay.port)) == errno.EINPROGRESS
                relay.listen()
                # TCP itself asks again after a second.
                said_back(waits, b"late")
        with connected(relay) as new:
            said_back(new, b"anew")


def test_refused_and_let_in_again_on_the_same_port(relay: Relay) -> None:
    """What was connected is cut; the port is nobody else's meanwhile."""
    port = relay.port
    for _ in range(2):
        with connected(relay) as old:
            said_back(old, b"before")
            relay.refuse()
            assert ended(old)
            with pytest.raises(ConnectionRefusedError):
                connected(relay)
            with pytest.raises(OSError, match="in use"):
                socket.create_server((LOOPBACK, port))
        relay.listen()
        assert relay.port == port


def test_deaf_after_refusing_and_the_other_way_round(relay: Relay) -> None:
    """Each follows on each."""
    relay.refuse()
    relay.deafen()
    with pytest.raises(TimeoutError):
        connected(relay, SILENCE_S)
    relay.refuse()
    with pytest.raises(ConnectionRefusedError):
        connected(relay)
    relay.listen()
    with connected(relay) as one:
        said_back(one, b"there")


def test_server_that_is_gone(relay: Relay, echo: Echo) -> None:
    """Who connects is let go of at once, and the relay is as it was."""
    echo.close()
    for _ in range(3):
        with connected(relay) as one:
            assert ended(one)


def test_no_more_than_so_many(relay: Relay) -> None:
    """Those beyond are let go of; when others have ended there is room again."""
    first = [connected(relay) for _ in range(100)]
    for one in first:
        said_back(one, b"in")
    with connected(relay) as more:
        assert ended(more)
    while first:
        first.pop().close()
    for _ in range(TIMEOUT_S * 10):
        with connected(relay) as one:
            one.settimeout(TIMEOUT_S)
            with contextlib.suppress(ConnectionError):
                one.sendall(b"x")
                if one.recv(1) == b"x":
                    return
    raise AssertionError("there is no room")


def test_end_while_it_holds_and_is_deaf(echo: Echo) -> None:
    """It ends at once, whatever it does, with what is connected; the port is free."""
    for what in (Relay.hold, Relay.deafen, Relay.refuse, Relay.release):
        with Relay(echo.port) as relay:
            one = connected(relay)
            one.sendall(b"x")
            what(relay)
        with one:
            while not ended(one):
                pass
        socket.create_server((LOOPBACK, relay.port)).close()
