"""Asks time servers for the time, one at a time, and never waits for an answer.

1. A server has 2 s. Then it is the next one's turn, on a new socket: what comes late comes to
   nobody, as it could be off by more than a second.
2. A server's second address is asked in the next round, where the first one was of no use.
3. The socket is connected, so that the IP stack itself drops what another address or port sends,
   and says at once when nobody listens.
4. When all have failed there is a pause, 1 s and more, up to 10 minutes. It ends early when the
   network was gone and is back. A server that does not want to be asked is left alone for a day.
5. A look-up blocks for as long as DNS takes, as getaddrinfo knows nothing else (7 s on an ESP32
   when nobody answers); at most one in a run. One that fails is followed by ten times as long
   without any. An address that answers is kept, so that the daily check looks nothing up.

Whether it is believed is for lib/sntp.py and the clock. One server is asked at a time: Readings
carry seconds, and certificates days.
"""

import errno
import os
import socket

import sntp
from backoff import Backoff
from micropython import const
from transport import resolve

from device.belief import told

# The last one asks products to apply for a zone of their own (ntppool.org), so it comes last.
SERVERS = ("time.cloudflare.com", "time.google.com", "pool.ntp.org")

_DEADLINE_MS = const(2000)
_POLL_MS = const(20)  # also how wrong the time may be: half of it
_OFFLINE_MS = const(500)
_FIRST_MS = const(1000)
_LONGEST_MS = const(600_000)
_AGAIN_MS = const(16_000)  # RFC 4330 section 10: no answer is asked for twice within 15 s
_DAY_MS = const(86_400_000)
_REST = const(10)


class Ntp:
    """Tells the clock what it is told; where that does not count, the next server is asked in a
    moment.

    servers: (host, port) pairs that go before the config's; None: the config's, or SERVERS.
    online(): whether there is a network. check_s: pause after an answer that was taken.
    urandom(n): random bytes. net: the module `socket` or a stand-in.

    `earliest`  no Unix time before it is believed
    `began`     `now` of the first try, or None
    `at`        whose turn it is, a number
    `taken`     whether the last answer counted
    `clock`     what believes or disbelieves it, see belief.py
    """

    def __init__(self, servers=None, online=None, check_s=86_400, urandom=os.urandom, net=socket):
        self.earliest = self.at = 0
        self.began = None
        self.taken = False
        self.clock = None
        self.log = None
        self._given = servers
        self._check_ms = check_s * 1000
        self._online = online
        self._urandom = urandom
        self._net = net
        self._backoff = Backoff(
            self._random, _FIRST_MS, _LONGEST_MS - _FIRST_MS, {"ntp": _FIRST_MS}
        )
        self._socket = None
        self._asked_at = 0
        self._ask_at = 0
        self.due = 0
        self._pause_ms = None  # begins with the next run
        self._looked_up_at = None  # when the look-up began that failed in the last run
        self._use(servers or [(name, sntp.PORT) for name in SERVERS])

    def choose(self, names, first=0):
        """Ask these hosts (a list, or None) unless others were given from the start, beginning with
        number `first`, counted round and round.
        """
        if names and not self._given:
            self._use([(name, sntp.PORT) for name in names])
        self.at = first % len(self._servers)

    def run(self, now):
        """Do what can be done without waiting. It may be early."""
        if self._online and not self._online():
            self.close()
            if self._backoff.attempts:
                self._backoff.attempts.clear()
                self._pause_ms = None
                self._ask_at = now
            self.due = now + _OFFLINE_MS
            return
        self.due = now + 1  # for what goes on at once, by the time that it is then
        if self._pause_ms is not None:
            if self._looked_up_at is not None:
                self._pause_ms = max(self._pause_ms, (now - self._looked_up_at) * _REST)
                self._looked_up_at = None
            self._ask_at = now + self._pause_ms
            self._pause_ms = None
        if self._socket:
            self._listen(now)
        elif now < self._ask_at:
            self.due = self._ask_at
        else:
            if self.began is None:
                self.began = now
            self._ask(now)

    def _use(self, servers):
        self._servers = servers
        self._failed = 0  # in a row
        self._found = {}  # index of the server -> its addresses
        self._shunned = {}  # index of the server -> when it may be asked again

    def _ask(self, now):
        at = self.at
        if now < self._shunned.get(at, 0):
            self._next()
            return
        if not self._found.get(at):
            found = resolve(self._net, *self._servers[at], self._net.SOCK_DGRAM)
            if not found:
                self._looked_up_at = now
                self._fail("dns")
            else:
                self._found[at] = found
            return  # `now` is as old as DNS was slow
        family, _, _, _, address = self._found[at][0]
        self._nonce = self._urandom(sntp.NONCE_SIZE)
        self._asked_at = now
        try:
            self._socket = self._net.socket(family, self._net.SOCK_DGRAM)
            self._socket.setblocking(False)
            self._socket.connect(address)
            self._socket.send(sntp.request(self._nonce))
        except OSError:
            self._fail("unreachable")
            return
        self.due = now + _POLL_MS

    def _listen(self, now):
        took_ms = now - self._asked_at
        if took_ms > _DEADLINE_MS:
            self._fail("silent")
            return
        try:
            unix_ms = sntp.read(self._socket.recv(sntp.SIZE), self._nonce, self.earliest)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                self.due = now + _POLL_MS
            else:
                self._fail("unreachable")
            return
        except sntp.Refused as error:
            if error.reason == "kiss":
                self._shunned[self.at] = now + _DAY_MS
            self._fail(error.reason)
            return
        if unix_ms is None:
            return  # not for us: what is behind it may be
        # The way back took half of the time, if both ways are alike.
        self.taken = told(self.clock, unix_ms + took_ms // 2, now, self.at)
        if self.taken:
            self.close()
            self._backoff.attempts.clear()
            self._ask_at = now + self._check_ms
            self._failed = 0
        else:
            self._next()
            self._ask_at = now + max(self._pause_ms, _AGAIN_MS)
            self._pause_ms = None
        self.due = self._ask_at

    def _fail(self, cause):
        if self.log:
            self.log("clock", "no-answer server=%s cause=%s" % (self._servers[self.at][0], cause))
        del self._found.get(self.at, [])[:1]  # after the last address it is looked up again
        self._next()

    def _next(self):
        self.close()
        self.at = (self.at + 1) % len(self._servers)
        self._failed += 1
        self._pause_ms = 0 if self._failed % len(self._servers) else self._backoff.next_ms("ntp")

    def close(self):
        """Listen to nobody any more."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _random(self):
        return int.from_bytes(self._urandom(2), "big") / 0x10000
