"""The clients' ground on CPython, for gateways and tests: `from mqtt_cpython import Client`.

MicroPython's sockets, its poll and its TLS answer instead of raising where nothing can be done yet;
here are such of CPython's. `ssl=` is an ssl.SSLContext, as it is. The modules of lib/ themselves
are the same ones.
"""

import asyncio
import errno
import select
import socket
import ssl
import sys
import time
import types


def _module(name, **names):
    made = types.ModuleType(name)
    vars(made).update(names)
    return sys.modules.setdefault(name, made)


class _Umqtt:
    """As much of umqtt's client as ours is made of: what it was told."""

    def __init__(self, client_id, server, port=0, user=None, password=None, keepalive=0):
        self.client_id, self.server, self.port = client_id, server, port
        self.user, self.pswd, self.keepalive = user, password, keepalive
        self.pid, self.sock, self.cb = 0, None, None
        self.set_last_will(None, None)

    def set_last_will(self, topic, msg, retain=False, qos=0):
        """What the broker is to say when the connection breaks."""
        self.lw_topic, self.lw_msg, self.lw_retain, self.lw_qos = topic, msg, retain, qos


class _Socket(socket.socket):
    """A socket that returns None where it would block. `reader`: the loop that watches it."""

    reader = None

    def write(self, data):
        """Bytes that were taken, or None."""
        try:
            return self.send(data)
        except BlockingIOError:
            return None

    def readinto(self, buffer):
        """Bytes that were read, or None; 0 is the end."""
        try:
            return self.recv_into(buffer)
        except BlockingIOError:
            return None

    def close(self):
        """Its number may be another one's in a moment."""
        if self.reader:
            self.reader.remove_reader(self)
            self.reader = None
        super().close()


class _Tls:
    """TLS over a socket that does not block: the handshake is carried on by writing."""

    def __init__(self, context, raw, name):
        self._raw = raw
        self._coming, self._going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._coming, self._going, server_hostname=name)
        self._rest = b""  # what the socket has not taken yet
        self._up = False
        self._buffer = bytearray(16384)

    def setblocking(self, flag):
        """It never blocks."""

    def write(self, data):
        """Bytes that were taken, or None: the handshake goes on, or the socket is full."""
        if not self._up and not self._tried(self._tls.do_handshake):
            return None
        self._up = True
        if self._flushed():
            self._tls.write(data)
            self._flushed()
            return len(data)
        return None

    def readinto(self, buffer):
        """Bytes that were read, or None; 0 is the end."""
        found = self._tried(lambda: self._tls.read(len(buffer), buffer))
        return found or (0 if self._coming.eof else None)

    def close(self):
        """The end without a goodbye; what is left of DISCONNECT has gone."""
        self._raw.close()

    def _tried(self, what):
        """What `what` gives, True for nothing; None where more has to come first."""
        try:
            while True:
                self._flushed()
                try:
                    found = what()
                    return True if found is None else found
                except ssl.SSLWantReadError:
                    if not self._more():
                        return None
                except ssl.SSLZeroReturnError:
                    return 0
                finally:
                    self._flushed()
        except ssl.SSLCertVerificationError as error:
            words = _WORDS.get(error.verify_code, "is not correctly signed by the trusted CA")
            raise ValueError(f"The certificate {words}") from None
        except ssl.SSLError as error:
            alert = "ALERT" in (error.reason or "")
            raise OSError(_FATAL_ALERT if alert else _INVALID_RECORD, str(error)) from None

    def _more(self):
        count = self._raw.readinto(self._buffer)
        if count == 0:
            self._coming.write_eof()
            if not self._up:
                raise OSError(errno.ECONNRESET, "closed in the handshake")
        elif count:
            self._coming.write(memoryview(self._buffer)[:count])
        return count is not None and (count > 0 or self._up)

    def _flushed(self):
        self._rest += self._going.read()
        while self._rest:
            taken = self._raw.write(self._rest)
            if taken is None:
                return False
            self._rest = self._rest[taken:]
        return True


# Mbed TLS's words for OpenSSL's numbers, and its numbers for what OpenSSL has words for: by them
# lib/transport_causes.py knows a cause.
_WORDS = {9: "validity starts in the future", 10: "validity has expired"}
_WORDS |= {62: "does not match the expected name", 64: "does not match the expected name"}
_FATAL_ALERT, _INVALID_RECORD = -0x7780, -0x7200


class _Context:
    """An ssl.SSLContext as MicroPython has one."""

    def __init__(self, context):
        self._context = context

    def wrap_socket(self, raw, server_hostname, do_handshake_on_connect):
        """TLS on the socket; the handshake comes with the first write."""
        return _Tls(self._context, raw, server_hostname)


class _Poll:
    """A poll of which sockets are asked for, not their numbers."""

    def __init__(self):
        self._poll = select.poll()

    def __getattr__(self, name):
        return getattr(self._poll, name)

    def ipoll(self, ms):
        """What select.poll() finds in so many milliseconds."""
        return iter(self._poll.poll(ms))


_module("micropython", const=lambda value: value)
_module("umqtt", robust=_module("umqtt.robust", MQTTClient=_Umqtt))

import mqtt_async  # noqa: E402 - what it imports is made above
import transport  # noqa: E402


async def _readable(sock):
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    loop.add_reader(sock, lambda: came.done() or came.set_result(None))
    sock.reader = loop
    try:
        await came
    finally:
        if sock.reader:
            loop.remove_reader(sock)
            sock.reader = None


transport.socket = types.SimpleNamespace(
    socket=_Socket, getaddrinfo=socket.getaddrinfo, SOCK_STREAM=socket.SOCK_STREAM
)
transport.select = types.SimpleNamespace(
    poll=_Poll, **{name: getattr(select, name) for name in dir(select) if name.startswith("POLL")}
)
mqtt_async.time = types.SimpleNamespace(
    ticks_ms=lambda: time.monotonic_ns() // 1_000_000, ticks_diff=lambda now, before: now - before
)
mqtt_async.sleep_ms = lambda ms: asyncio.sleep(ms / 1000)
mqtt_async.readable = _readable


class Client(mqtt_async.Client):
    """mqtt_async.Client, with an ssl.SSLContext of CPython's for `ssl`."""

    def __init__(self, client_id, server, port=0, user=None, password=None, **more):
        if isinstance(more.get("ssl"), ssl.SSLContext):
            more["ssl"] = _Context(more["ssl"])
        super().__init__(client_id, server, port, user, password, **more)
