"""Fixtures for the client alone: a CA, and ports that are no broker's."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.identity.authority import Authority


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Make one CA for the module."""
    return Authority.new()


@pytest.fixture
def ca(tmp_path: Path, authority: Authority) -> Path:
    """Write the CA's certificate as DER."""
    path = tmp_path / "ca.der"
    path.write_bytes(authority.identity.der())
    return path


@pytest.fixture
def mute() -> Iterator[int]:
    """Listen on a port, accept through the kernel alone, and never say anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def full() -> Iterator[int]:
    """Listen on a port whose backlog is full: a SYN is dropped, and TCP waits."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = []
        for _ in range(4):
            each = socket.socket()
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
            waiting.append(each)
        yield port
        for each in waiting:
            each.close()
