"""Birth, will and goodbye: what is retained on `status`, so that everybody knows whether the node
is there.

Every status carries (boot, session), which orders them: a will that the broker publishes late, for
a connection that was given up long ago, is told from the birth of the connection that replaced it.
The node reads its own status, and answers an `offline` that is not its own doing by its birth. A
birth that does not come back shows that the subscription is lost, although the connection lives;
after the third in a row, that the broker drops what it acknowledges.
"""

from micropython import const
from node.shared.message import encode

_AGAIN_MS = const(600000)  # a broker may have forgotten what it retained
_ECHO_MS = const(10000)
# Two nodes with one id must not answer each other as fast as they can.
_AT_MOST_EVERY_MS = const(10000)
# A broker that never lets the node read its status is not worth a fourth reconnect; from then on
# the birth is said again more often.
_MAX_LOST = const(3)
_UNHEARD_MS = const(60000)
_LOST = const("subscription-lost")
_DENIED = const("not-authorized-here")
_NAMES_MAX = const(8)  # of alerts, in a birth
# A broker that stops has said the wills and closed everything by then.
_STOPPING_MS = const(1000)
_SIZE_MAX = const(512)  # bytes; no birth is longer


class _Connection:
    """What was said in one connection, and what came of it; dropped with it."""

    waiting = None  # "online", or the reason of the goodbye
    outage = None  # what was before, as the birth tells it
    born_at = 0  # when it last waited
    birth = None  # payload of the last one
    flying = None  # the same, while it is sent and not acknowledged
    heard = False  # whether the broker passes on what it takes from this connection
    echoed = False  # whether it has come back, and is what there is on `status`
    left = False  # whether the goodbye is sent
    strange_at = None  # when this session's own will came, or a later session's status


class Status:
    """The source of `status` (see message.py). At most one Message waits, the newest; keys count up
    from 1.
    """

    qos = 1

    def __init__(self, base, boot, now, facts, settings=None):
        """`facts`: what the birth says of this boot, pairs of name and value; and the version of
        the `settings`, if there are any.
        """
        from node.shared import topics  # which goes when the node is built

        self.ready = False  # whether a birth or the goodbye waits to be sent
        self.due = None  # when to send the birth again; None: the link is down
        self.echo_by = None  # when the Link has to ask whether a birth is `unheard`
        self.session = 0
        self.goodbye_done = False
        self.raised = ()  # names of alerts
        # Payload of the birth that was in flight when the connection broke, or None. Where the
        # broker kept the session it has to come again as it was (MQTT 3.1.1 section 4.4), and
        # before the next birth: what is retained last counts.
        self.unacked = None
        self.rivals = 0  # statuses by another node under this node's id
        self.topic = base + "/" + topics.STATUS
        self.connection = _Connection()
        self._boot = boot
        self._facts = facts
        self._settings = settings
        self._clock = now
        self._key = 0  # of what was sent last
        self._lost = 0
        self._known = False  # whether a birth of this boot has come back

    def will(self):
        """A new session begins: payload of the will to hand over with its CONNECT."""
        self.session += 1
        return self._said("offline", ("reason", "lost"))

    def up(self, now, outage):
        """CONNACK has come: send the birth. `outage` is None or {"s": seconds, "cause": cause}."""
        self.connection.outage = outage
        self.run(now)

    def again(self, settings=None):
        """What the birth says has changed, the settings or anything else: say it again, soon."""
        if self.due is not None:
            self.due = min(self.due, self.connection.born_at + _AT_MOST_EVERY_MS)

    def goodbye(self, reason):
        """Send the goodbye; `goodbye_done` tells when the broker has it."""
        self.unacked = None
        self.connection.waiting = reason
        self.ready = True
        self.due = self.echo_by = None

    def on_message(self, topic, payload, retained, dup):
        """Something was published on the node's own status."""
        connection = self.connection
        if payload == connection.birth:
            connection.echoed = connection.heard = self._known = True
            self.echo_by = None
            self._lost = 0
            return
        boot, session = _order(payload)
        if boot == self._boot:
            # A clone's, whose counters agree: while a session is up, its will is not said. Only a
            # broker that stops says it (mosquitto), and closes then.
            if session >= self.session and self.due is not None and connection.strange_at is None:
                connection.strange_at = self._clock()
        elif boot is not None:
            # Before the first echo, it is what an earlier boot has left there.
            self.rivals += self._known
        if connection.echoed and b'"online"' not in payload:
            # Before the echo of our own birth, an `offline` is older than it.
            self.again()

    def unheard(self, now):
        """Why to connect anew, once for each birth that has not come back in time; or None."""
        if self.echo_by is None or now < self.echo_by:
            return None
        self.echo_by = None
        self._lost += 1
        if self._lost > _MAX_LOST:
            self.due = now + _UNHEARD_MS
            return None
        return _LOST if self._lost < _MAX_LOST else _DENIED

    def _said(self, status, *more):
        order = ("boot", self._boot), ("session", self.session)
        return encode(("v", 1), ("status", status), *order, *more)

    # -- a source ----------------------------------------------------------------------------------

    def run(self, now):
        """The birth is due, again."""
        self.connection.waiting = "online"
        self.ready = True
        self.connection.born_at = now
        self.due = now + _AGAIN_MS

    def peek(self, now):
        """The birth or the goodbye, whichever is due; what is to come again before it."""
        return self._key if self.unacked else self._key + 1

    def write(self, packet):
        """Its payload."""
        connection = self.connection
        if self.unacked:
            packet += self.unacked
        elif connection.waiting == "online":
            connection.birth = self._birth(connection.outage)
            packet += connection.birth
        else:
            packet += self._said("offline", ("reason", connection.waiting))

    def _birth(self, outage):
        more = list(self._facts)
        if self._settings:
            more.append(("settings", self._settings.version))
        if outage:
            more.append(("outage", outage))
        names = self.raised
        if names:
            more.append(("alerts", names[:_NAMES_MAX]))
            if len(names) > _NAMES_MAX:
                more.append(("more_alerts", len(names) - _NAMES_MAX))
        return self._said("online", *more)

    def sent(self, key):
        """It is on its way; only the newest counts."""
        connection = self.connection
        self._key = key
        if self.unacked:
            connection.flying = self.unacked
            self.unacked = None
            self.ready = connection.waiting is not None
            connection.echoed = True  # it is the next one that has to come back
            return
        connection.left = connection.echoed = connection.waiting != "online"
        connection.flying = None if connection.left else connection.birth
        connection.waiting = None
        self.ready = False

    def done(self, key):
        """The broker has it: from now on its echo is due."""
        connection = self.connection
        if key != self._key:
            return
        connection.flying = None
        if connection.left:
            self.goodbye_done = True
        elif not connection.echoed:
            self.echo_by = self._clock() + _ECHO_MS

    def rewind(self):
        """The next connection has a birth of its own."""
        connection = self.connection
        self.unacked = connection.flying or self.unacked
        self.ready = self.unacked is not None
        if connection.strange_at is not None:
            self.rivals += self._clock() - connection.strange_at >= _STOPPING_MS
        self.due = self.echo_by = None
        self.connection = _Connection()

    def save(self):
        """Nothing to do: a status is true only while it is said."""


def _order(payload):
    """(boot, session) of a status (bytes) as `encode` writes it, whoever sent it, else two None."""
    parts = payload.split(b",", 4) if len(payload) <= _SIZE_MAX else ()
    try:
        return int(parts[2].split(b":", 1)[1]), int(parts[3].split(b":", 1)[1].rstrip(b"}"))
    except (IndexError, ValueError):
        return None, None
