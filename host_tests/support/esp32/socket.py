"""The ESP32's sockets for the unix port: on the path ahead of MicroPython's own, with errno.py.

Bytes go over real sockets; what is the chip's is how they are handed over. Sources: MicroPython
1.26's ports/esp32/modsocket.c and lwIP's api_msg.c, sockets.c and err.c.

1. A time-out is a number of slices of 100 ms, counted for each call. `setblocking(True)` wipes it.
2. `poll` shows no POLLERR, and POLLHUP only to who asks for it: a refused connect is POLLOUT.
3. Errors have newlib's numbers. A connect that is refused is ECONNRESET, as lwIP does not tell a
   reset from a refusal; one that gets no answer is ECONNABORTED.
4. `getaddrinfo` gives one result or a negative number; for IPv6 it has no address (None).
5. One write takes what the send buffer holds at most, and sockets are few.
6. `setsockopt` knows no TCP_NODELAY: stricter than the chip, where 1.23 and 1.27 take it.

The file that LIMPET_DNS names tells the resolver, in words: `slow=3` (seconds), `fail` or
`fail=-200`, `ipv6`. It is read anew at each look-up, and addresses need none.

Not here, because nobody on the node uses it: `sendto`, mDNS, `readline`.
"""

import errno
import io
import os
import select
import time

import uerrno
import usocket

AF_INET = 2
AF_INET6 = 10
SOCK_STREAM = 1
SOCK_DGRAM = 2

_SLICE_MS = 100
_SEND_BUFFER = 5744  # CONFIG_LWIP_TCP_SND_BUF_DEFAULT
_SOCKETS = 10  # CONFIG_LWIP_MAX_SOCKETS, as 1.23 has it
_EAI_FAIL = -202
_ENFILE = 23
_FOREVER = -1

_POLL = 3  # MP_STREAM_POLL and MP_STREAM_CLOSE, py/stream.h
_CLOSE = 4

_open = set()


def getaddrinfo(host, port, family=0, kind=0, proto=0, flags=0):
    """One result: (family, kind, proto, name, (address, port))."""
    kind = kind or SOCK_STREAM
    if ":" in host:
        return [(AF_INET6, kind, proto, host, None)]
    if not _is_address(host):
        told = _told()
        time.sleep(float(told.get("slow", 0)))
        if "fail" in told:
            raise OSError(int(told["fail"] or _EAI_FAIL))
        if "ipv6" in told:
            return [(AF_INET6, kind, proto, host, None)]
        host = _looked_up(host)
    return [(AF_INET, kind, proto, host, (host, port))]


def _told():
    path = os.getenv("LIMPET_DNS")
    if not path:
        return {}
    with open(path) as file:
        words = [word.split("=") for word in file.read().split()]
    return {word[0]: word[-1] if len(word) > 1 else "" for word in words}


def _is_address(host):
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() for part in parts)


def _looked_up(host):
    try:
        found = usocket.getaddrinfo(host, 0, AF_INET, SOCK_STREAM)
    except OSError:
        raise OSError(_EAI_FAIL)
    _, address, _ = usocket.sockaddr(found[0][4])
    return usocket.inet_ntop(AF_INET, address)


def _translated(error):
    """The same error under the chip's number."""
    name = uerrno.errorcode.get(error.errno)
    return OSError(getattr(errno, name)) if name else error


class socket(io.IOBase):
    """A stream socket. As a stream of its own it also serves TLS, which reads and writes it."""

    def __init__(self, family=AF_INET, kind=SOCK_STREAM, proto=0):
        if len(_open) >= _SOCKETS:
            raise OSError(_ENFILE)
        self._real = usocket.socket(family, kind, proto)
        self._real.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._real, 0)
        self._new = True
        self._connecting = False
        self._ended = False
        _open.add(id(self))
        self.setblocking(True)

    def setblocking(self, on):
        """Wait for ever, or not at all; whatever time-out was set is gone."""
        self._retries = _FOREVER if on else 0
        self._slice_ms = _SLICE_MS if on else 0

    def setsockopt(self, level, option, value):
        """Refuse."""
        raise OSError(errno.EINVAL)

    def settimeout(self, seconds):
        """Wait for so many slices, and one to begin with."""
        if seconds is None:
            return self.setblocking(True)
        self._retries = int(seconds * 1000) // _SLICE_MS
        self._slice_ms = _SLICE_MS if seconds else 0

    def connect(self, address):
        """To (address, port). Non-blocking it raises EINPROGRESS, and `poll` tells the rest."""
        host, port = address  # a tuple of two: TypeError for anything else
        resolved = getaddrinfo(host, port)[0][4]
        self._new = False
        self._connecting = True
        try:
            self._real.connect(usocket.getaddrinfo(resolved[0], resolved[1])[0][4])
        except OSError as error:
            if error.errno != uerrno.EINPROGRESS:
                raise self._refused(error)
            if not self._slice_ms:
                raise OSError(errno.EINPROGRESS)
            if self._again(self._connected, select.POLLOUT) is None:
                raise OSError(errno.ETIMEDOUT)
        self._connecting = False

    def _connected(self):
        """True, or None while it is not known. Raises what became of it."""
        for _, flags in self._flags(select.POLLOUT):
            if flags & select.POLLERR:
                self.read(1)
            return True
        return None

    def bind(self, address):
        """To (address, port)."""
        self._new = False
        self._real.bind(usocket.getaddrinfo(address[0], address[1])[0][4])

    def listen(self, backlog=2):
        """As anywhere."""
        self._new = False
        self._real.listen(backlog)

    def read(self, size):
        """At most `size` bytes, b"" at the end, or None: nothing there."""
        buffer = bytearray(size)
        count = self.readinto(buffer)
        return None if count is None else bytes(buffer[:count])

    def recv(self, size):
        """As `read`, but EAGAIN when there is nothing."""
        data = self.read(size)
        if data is None:
            raise OSError(errno.EAGAIN)
        return data

    def readinto(self, buffer):
        """Bytes read, 0 at the end for ever, or None: nothing there."""
        if self._new:
            raise OSError(errno.ENOTCONN)
        if self._ended:
            return 0
        count = self._again(lambda: self._real.readinto(buffer), select.POLLIN)
        self._ended = count == 0
        return count

    def write(self, data):
        """Bytes taken, or None: no room."""
        part = memoryview(data)[:_SEND_BUFFER]
        return self._again(lambda: self._real.write(part), select.POLLOUT)

    def send(self, data):
        """As `write`, but EAGAIN when there is no room."""
        count = self.write(data)
        if count is None:
            raise OSError(errno.EAGAIN)
        return count

    def _again(self, call, flag):
        """What `call` gives, tried for as long as the time-out lasts; None after less than a
        slice, ETIMEDOUT after more.
        """
        tries = 0
        while True:
            try:
                result = call()
            except OSError as error:
                raise self._refused(error)
            if result is not None or not self._slice_ms:
                return result
            self._poll.modify(self._real, flag)
            for _ in self._poll.ipoll(self._slice_ms):
                pass
            if tries == self._retries:
                if tries == 0:
                    return None
                raise OSError(errno.ETIMEDOUT)
            tries += 1

    def _refused(self, error):
        """`error` as lwIP has it; what ends a connect has other names there."""
        if self._connecting and error.errno == uerrno.ECONNREFUSED:
            return OSError(errno.ECONNRESET)
        if self._connecting and error.errno == uerrno.ETIMEDOUT:
            return OSError(errno.ECONNABORTED)
        return _translated(error)

    def _flags(self, wanted):
        self._poll.modify(self._real, wanted)
        return self._poll.ipoll(0)

    def ioctl(self, request, wanted):
        """What MicroPython's streams ask for: poll and close."""
        if request == _CLOSE:
            self.close()
            return 0
        if request != _POLL:
            return -errno.EINVAL
        if self._real is None:
            return 32  # MP_STREAM_POLL_NVAL
        if self._new:
            return wanted & select.POLLOUT | select.POLLHUP
        both = select.POLLIN | select.POLLOUT
        for _, flags in self._flags(wanted & both):
            if flags & select.POLLERR:
                return wanted & (both | select.POLLHUP)
            return (flags | (select.POLLIN if flags & select.POLLHUP else 0)) & wanted & both
        return 0

    def close(self):
        """As anywhere, and twice does no harm."""
        if self._real is not None:
            _open.discard(id(self))
            self._poll.unregister(self._real)
            self._real.close()
            self._real = None
