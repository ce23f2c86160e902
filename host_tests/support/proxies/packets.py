"""MQTT packets on their way through a proxy, and TLS where they have to be seen."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_der_private_key
from cryptography.x509 import load_der_x509_certificate
from limpet.identity.authority import Identity
from support.brokers.codec import Packet, parse, split
from support.proxies.connection import Connection

_CHUNK = 16384

# Does something to a packet; returns whether it is to be passed on as well. May raise Ended.
Act = Callable[[Connection, bytes, Packet], Awaitable[bool]]


class Word:
    """What is to happen to the next packet that fits. `happened` tells that it did."""

    def __init__(self, fits: Callable[[str, Packet], bool], act: Act) -> None:
        self.fits = fits
        self.act = act
        self.happened = threading.Event()


async def packets(reader: asyncio.StreamReader) -> AsyncIterator[tuple[bytes, Packet]]:
    """Every packet as its bytes and as what it says."""
    buffer = b""
    while data := await reader.read(_CHUNK):
        buffer += data
        while found := split(buffer):
            head, body, rest = found
            raw, buffer = buffer[: len(buffer) - len(rest)], rest
            yield raw, parse(0, head, body)


def identity(folder: Path) -> Identity:
    """Return the identity on a device's flash."""
    key = load_der_private_key((folder / "key.der").read_bytes(), None)
    certificate = load_der_x509_certificate((folder / "cert.der").read_bytes())
    return Identity(key, certificate)  # type: ignore[arg-type]


def context(side: int, identity: Identity, ca: Path) -> ssl.SSLContext:
    """Return what shows `identity` at that side, and asks the other one for its own."""
    made = ssl.SSLContext(side)
    made.load_verify_locations(ca)
    made.verify_mode = ssl.CERT_REQUIRED
    # The ssl module reads keys from files alone.
    with tempfile.NamedTemporaryFile() as file:
        file.write(identity.key_pem() + identity.pem())
        file.flush()
        made.load_cert_chain(file.name)
    return made
