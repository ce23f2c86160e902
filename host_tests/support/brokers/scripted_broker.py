"""A server that speaks just enough MQTT to be told what to answer, and keeps all that it was sent.

What a well-behaved broker answers is built in; a test says what is to be different. Nothing is
routed, retained or kept for a session, and it believes every length that a client sends.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from limpet.identity.authority import SERVER_VALID, Authority
from support import schemas
from support.brokers.codec import Packet, connack, parse, puback, split, suback, unsuback


class Closed(Exception):
    """Raised by an `answer` to close the connection instead of answering."""


# What to answer to a packet: bytes, or None for what a well-behaved broker would. May raise Closed.
Answer = Callable[[Packet], bytes | None]


class ScriptedBroker:
    """A server on loopback, in threads. `with ScriptedBroker(answer) as broker:` runs it.

    `context` is for TLS. `packets` is what came, in order, over all connections, and `answered`
    what of it did not make the broker close; `reads` the sizes of what each read gave, which with
    TLS is one record. A small `read_size` makes a slow reader.
    """

    def __init__(
        self,
        answer: Answer = lambda packet: None,
        context: ssl.SSLContext | None = None,
        read_size: int = 65536,
    ) -> None:
        self.answer = answer
        self.packets: list[Packet] = []
        self.answered: list[Packet] = []
        self.reads: list[int] = []
        self._context = context
        self._read_size = read_size
        self._changed = threading.Condition()
        self._clients: list[socket.socket] = []
        self._fault: Exception | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        if read_size < 4096:
            # Else the kernel reads some megabytes on behalf of a slow reader.
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="scripted", daemon=True)

    def of(self, *names: str) -> list[Packet]:
        """Return the packets of these kinds, in the order in which they came."""
        with self._changed:
            return [packet for packet in self.packets if packet.name in names]

    def wait_for(
        self, wanted: Callable[[Packet], Any], timeout_s: float = 60.0, answered: bool = False
    ) -> Packet:
        """Return the first packet for which `wanted` is true, of all that came or were `answered`;
        TimeoutError when none comes. Each is asked about once, and the broker answers meanwhile.
        """
        deadline = monotonic() + timeout_s
        packets = self.answered if answered else self.packets
        seen = 0
        while True:
            with self._changed:
                while seen == len(packets):
                    if not self._changed.wait(max(deadline - monotonic(), 0)):
                        came = ", ".join(map(str, packets[-20:]))
                        raise TimeoutError(f"no such packet in {timeout_s:g} s, but {came}")
                packet = packets[seen]
            seen += 1
            if wanted(packet):
                return packet

    def send(self, data: bytes) -> None:
        """Send `data` to the newest client, out of turn."""
        self._clients[-1].sendall(data)

    def hang_up(self) -> None:
        """Close the newest connection."""
        _close(self._clients[-1])

    def __enter__(self) -> ScriptedBroker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        _close(self._listener)
        for client in self._clients:
            _close(client)
        self._thread.join(60)
        if self._fault:
            raise self._fault

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                threading.Thread(
                    target=self._serve, args=(len(self._clients) - 1, client), daemon=True
                ).start()

    def _serve(self, number: int, client: socket.socket) -> None:
        # What a client that is cut off leaves behind is its own business.
        with contextlib.suppress(OSError, Closed):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context:
                client = self._context.wrap_socket(client, server_side=True)
                self._clients[number] = client
            buffer = b""
            while data := client.recv(self._read_size):
                self.reads.append(len(data))
                buffer += data
                while found := split(buffer):
                    head, body, buffer = found
                    self._take(client, parse(number, head, body))
        _close(client)

    def _take(self, client: socket.socket, packet: Packet) -> None:
        if packet.name == "PUBLISH":
            schemas.note(packet.topic, packet.payload)
        with self._changed:
            self.packets.append(packet)
            self._changed.notify_all()
        try:
            answer = self.answer(packet)
        except Exception as fault:
            if not isinstance(fault, Closed):
                self._fault = fault  # of the test's own: it has to hear of it, in its own thread
            raise
        client.sendall(default_answer(packet) if answer is None else answer)
        with self._changed:
            self.answered.append(packet)
            self._changed.notify_all()


def default_answer(packet: Packet) -> bytes:
    """Return what a broker that agrees with everything answers."""
    if packet.name == "CONNECT":
        return connack()
    if packet.name == "SUBSCRIBE":
        return suback(packet, packet.qos)
    if packet.name == "UNSUBSCRIBE":
        return unsuback(packet)
    if packet.name == "PUBLISH" and packet.qos:
        return puback(packet)
    if packet.name == "PUBREC":
        return struct.pack(">BBH", 0x62, 2, packet.packet_id)
    if packet.name == "PINGREQ":
        return b"\xd0\0"
    if packet.name == "DISCONNECT":
        raise Closed
    return b""


def server_context(
    folder: Path, authority: Authority, name: str = "127.0.0.1", valid: timedelta = SERVER_VALID
) -> ssl.SSLContext:
    """Return a server's TLS context with a certificate for `name`; its files go to `folder`."""
    identity = authority.server([name], valid=valid)
    (folder / "server.crt").write_bytes(identity.pem())
    (folder / "server.key").write_bytes(identity.key_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    return context


def _close(each: socket.socket) -> None:
    # Without the shutdown a thread that waits in recv or accept would wait for ever.
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
