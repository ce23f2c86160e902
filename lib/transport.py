"""One TCP or TLS connection that never waits, and a name for everything that can go wrong with it.

Rules of this file, each learnt from MicroPython 1.23 to 1.29 on ESP32 and unix:

1. The raw socket is non-blocking from birth to death. A time-out set on it would be wiped by
   `setblocking(True)` on ESP32, counts per receive (so that a peer that drips bytes is never timed
   out), and poisons a TLS socket for good. The deadline is the caller's, who simply stops calling.
2. The TLS handshake is carried on by writing: `write()` returns None until the peer has answered
and been verified.
3. After `write()` returned None the *same bytes* must be written again: TLS has already sealed some
of them.
4. Poll the raw socket, never the TLS one: polling that wakes thousands of times a second while
   idle. TLS may hold bytes that the raw socket no longer shows, so read until None before waiting.

What goes wrong becomes a word in `cause`, here (and in transport_causes.py) and nowhere else.

It never waits (but for `wait()`, as long as it is told, and looking up, as long as DNS takes,
because getaddrinfo offers nothing else) and never speaks TLS without verifying: the certificate
authority, the host name and the dates.
"""

import errno
import select
import socket

from micropython import const

# IPPROTO_TCP and TCP_NODELAY, the same on Linux, macOS and lwIP; `socket` names them on ESP32 only.
_TCP = const(6)
_NODELAY = const(1)
_ADDRESSES = const(4)  # of a name, in one go: each may take as long as a connect

# What the calls of a socket or of TLS raise, on one port or another.
_ENDS = (OSError, ValueError, MemoryError)


def resolve(net, host, port, kind):
    """What getaddrinfo finds of `host` that can be used, be it nothing. It blocks for as long as
    DNS takes; an address needs no looking up. `net`: the module `socket` or a stand-in.
    """
    found = []
    try:
        for each in net.getaddrinfo(host, port, 0, kind):
            # ESP32 finds IPv6 addresses and has no way to hand them over: None stands for one.
            if each[4]:
                found.append(each)
    except OSError:
        pass
    return found


class Transport:
    """A connection, and its end: methods raise nothing. `close()` makes it ready for the next one.

    `cause`      why the connection is over, or None; then all that is left to do is `close`
    `addresses`  that were found and not tried yet
    """

    def __init__(self):
        self.cause = None
        self.addresses = []
        self._first = 0  # which of a name's addresses is the first to be tried
        self._raw = None
        self._io = None
        self._doing = "tcp"
        self._to_write = False  # what the poll is told to look for besides what comes in
        self._poll = select.poll()

    def resolve(self, host, port):
        """Look `host` up, for as long as DNS takes. The first address to be tried is the one that
        was right the last time, else the one behind that which was tried last: whoever lets TCP in
        and then says nothing would hide the others for ever.
        """
        found = resolve(socket, host, port, socket.SOCK_STREAM)
        if found:
            first = self._first % len(found)
            self.addresses = (found[first:] + found[:first])[:_ADDRESSES]
        else:
            self.cause = "dns"

    def open(self):
        """Begin to connect to the next of the addresses found."""
        self.close()
        family, _, _, _, address = self.addresses.pop(0)
        self._first += 1
        self._doing = "tcp"
        try:
            self._raw = self._io = socket.socket(family)
            self._raw.setblocking(False)
            # ESP32 tells of a failure to connect by POLLHUP alone, and only if asked for it.
            self._poll.register(self._raw, select.POLLOUT | select.POLLHUP)
            self._raw.connect(address)
        except OSError as error:
            if error.errno != errno.EINPROGRESS:
                self._over(error)

    def proven(self):
        """The peer is the right one, also the next time. From now on a packet does not wait for its
        ACK of the one before (Nagle), which a peer delays by 40 ms and more.

        Not during a handshake: CONNECT behind it would meet a peer that is about to refuse the
        certificate, be answered by a reset, and that overtakes the alert which says why.
        """
        self._first -= 1
        self._doing = "up"
        try:
            self._raw.setsockopt(_TCP, _NODELAY, 1)
        except OSError:
            pass  # a port need not know it; then it is slower

    def opened(self):
        """Whether TCP is through."""
        for _, flags in self._poll.ipoll(0):
            if flags & (select.POLLERR | select.POLLHUP):
                # The poll's flags do not tell why: the next call does.
                self.readinto(bytearray(1))
                if self.cause in (None, "closed"):
                    self.cause = "tcp-refused"
                return False
            self._poll.modify(self._raw, select.POLLIN)
            self._to_write = False
            self._doing = "mqtt"
            return True
        return False

    def secure(self, context, server_hostname):
        """Put TLS on the open connection. The handshake itself is carried on by `write()`."""
        self._doing = "tls"
        try:
            self._io = context.wrap_socket(
                self._raw, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._io.setblocking(False)
        except _ENDS as error:
            self._over(error)

    def write(self, data):
        """Write what can be written at once: bytes taken, or None (then the same bytes must come
        again, unless there is a `cause`).
        """
        try:
            taken = self._io.write(data)
            if taken and self._doing == "tls":
                self._doing = "mqtt"
            return taken
        except _ENDS as error:
            self._over(error)

    def readinto(self, buffer):
        """Read what is there into `buffer`: bytes read, or None: nothing, or the peer has closed,
        which is a `cause`.
        """
        try:
            count = self._io.readinto(buffer)
            if count == 0:
                self.cause = "closed"
                return None
            return count
        except _ENDS as error:
            self._over(error)

    def _over(self, error):
        """`error` has ended it. What tells the reason is loaded now: it takes 1 KB of heap."""
        try:
            from transport_causes import cause_of

            self.cause = cause_of(error, self._doing)
        except MemoryError:
            self.cause = "memory"
        except OSError:
            self.cause = "closed"  # a flash that cannot be read does not tell any more

    def wait(self, real_ms, to_write=False):
        """Sleep for `real_ms` at most, less if the peer has sent something (or, `to_write`, can
        take something). Returns whether that is so.
        """
        if (to_write or self._to_write) and self._raw and self._doing != "tcp":
            self._to_write = to_write
            self._poll.modify(
                self._raw, select.POLLIN | select.POLLOUT if to_write else select.POLLIN
            )
        for _ in self._poll.ipoll(real_ms):
            return True
        return False

    def close(self):
        """Drop the connection, whatever its state. Never raises: what is gone cannot be closed
        better.
        """
        raw, io = self._raw, self._io
        self._raw = self._io = self.cause = None
        if raw is None:
            return
        self._poll.unregister(raw)
        for each in (io, raw):
            try:
                each.close()
            except (OSError, ValueError):
                pass
