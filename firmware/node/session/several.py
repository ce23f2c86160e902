"""Several brokers: which one is next, and when. Imported where the settings name more than one.

The order is the preference. After a try in vain the next one is tried, at once where its own
back-off allows; none waits for another's, and where all are away each is asked as rarely as if it
were the only one. When a connection that was up ends, the order begins anew: the first one is tried
again then, and never while another one serves.

What is known of a broker stays with it: its back-off, what it refuses (see causes.py), which
Commands of QoS 2 its session has delivered, and whether that session is to be given up.
"""

from backoff import Backoff
from micropython import const
from node.session.causes import FLOORS_MS, Past

# Who loses a connection together with a thousand others comes to the next broker spread over this
# time, as in lib/backoff.py.
_SPREAD_MS = const(2000)
_RIVAL = const("rival")  # see causes.py


class _Broker:
    """One of them. `_due`: when it may be tried; what is known of it, while it is not in use."""

    _due = 0

    def __init__(self, host, port, backoff, clean):
        self._host = host
        self._port = port
        self._backoff = backoff
        self._past = Past()
        self._received = set()
        self._clean = clean


class Several:
    """Stands where a Backoff does in Recovery (lib/backoff.py), and is told of each end, by the
    Link through that; it gives the Link's client another broker then.

    `attempts`  those of the broker that has the fewest, which is the one that a boot may ask
    """

    def __init__(self, link, backoff, more, facts, log):
        """`link` and `backoff` are those of the first one. `more`: (host, port) of the others.
        `facts`: a list, what the birth says: the broker's place in the order comes last.
        """
        client = link.client
        self._link = link
        self._log = log
        name = client.ssl_params["server_hostname"]
        self._name = None if name == client.server else name  # one for all of them
        every = [(client.server, client.port)] + more
        random, before = link.board.random, backoff.attempts
        self._brokers = [
            _Broker(
                *each,
                Backoff(random, floors_ms=FLOORS_MS, attempts=before),
                client.clean_session,
            )
            for each in every
        ]
        self._at = 0
        self._up = False  # whether a connection has ended, rather than a try
        self._facts = facts
        self.attempts = {}
        facts.append(None)
        self._tell()

    def rested(self, up_ms):
        """The broker in use was up for `up_ms`, and the connection is gone."""
        self._brokers[self._at]._backoff.rested(up_ms)
        self._up = True

    def next_ms(self, kind):
        """A connection or a try has ended, by a failure of class `kind`: turn to the broker that
        may be tried first. Returns the milliseconds until then.
        """
        board, brokers = self._link.board, self._brokers
        now, this, first = board.clock.now(), brokers[self._at], self._at + 1
        wait = this._backoff.next_ms(kind)
        this._due = now + wait
        # Without Wi-Fi no broker is to blame.
        if self._up or board.network.cause:
            self._up, first = False, 0
            # A rival has the same list.
            if wait > _SPREAD_MS and kind != _RIVAL:
                wait = int(board.random() * _SPREAD_MS)
            for each in brokers:
                each._due = max(each._due, now + wait)
        count = len(brokers)
        order = [(first + i) % count for i in range(count)]
        dues = [max(now, brokers[i]._due) for i in order]
        due = min(dues)
        self._turn(order[dues.index(due)])
        self.attempts = min([each._backoff.attempts for each in brokers], key=_most)
        return due - now

    def _turn(self, at):
        if at == self._at:
            return
        link, client, this = self._link, self._link.client, self._brokers[self._at]
        this._past, this._received = link.past, client.received
        this._clean = client.clean_session
        self._at = at
        that = self._brokers[at]
        link.past, client.received = that._past, that._received
        client.clean_session = that._clean
        client.server, client.port = that._host, that._port
        client.ssl_params = {"server_hostname": self._name or that._host}
        self._tell()

    def _tell(self):
        this = self._brokers[self._at]
        self._facts[-1] = "broker", self._at + 1
        self._log("link", "next broker=%d host=%s port=%d" % (self._at + 1, this._host, this._port))


def _most(attempts):
    return max(attempts.values()) if attempts else 0
