"""Which Message it is that the way to the broker does not carry: a broker with a limit for packets
closes, a tunnel with a smaller MTU swallows, and neither says why.

The Link imports this when a connection has ended with a Message in flight, and it is let go of when
the way carries all again. One failure proves nothing: networks break by themselves. After a few,
Messages go one at a time. A batch that was alone in flight at the end of two connections in a row
comes in halves, which costs little should it have been innocent. What cannot be cut has to have
been so five times, each time on a connection that had its birth acknowledged; then it is set aside
until another one of its source has got through. If that one does not, either, it was not the
Message. If it does, the Message is sent once more, as the way may have been mended by then; and
when that ends the connection, too, it is given up.
"""

from micropython import const

_CUT = const(2)
_ASIDE = const(5)
_MANY_EARLY = const(3)


class Suspect:
    """The Message that may be to blame: `key` of `source`, or None. It was alone in flight at the
    end of `_times` connections in a row.

    `early`  connections that ended with something in flight, since the last batch arrived; after
             three Messages go one at a time
    """

    source = key = None
    _times = early = 0

    def blamed(self, client, flights, cause):
        """The cause of the end of a connection with `flights`, by packet id: `too-long` when the
        source of the one there is makes it smaller from now on, `undeliverable` when it is set
        aside.
        """
        self.early += 1
        if self.early <= _MANY_EARLY:
            return cause
        (flight,) = flights.values()
        why = self._judged(cause, flight)
        if why != cause or not self.source:
            # The session is given up: what it has in flight would have to come again as it was
            # (MQTT 3.1.1 section 4.4). A clean one knows nothing of that (3.1.2.4).
            client.clean_session = True
        return why

    def _judged(self, cause, flight):
        source, key = flight.source, flight.key
        if self.source is not source or self.key != key:
            self.source, self.key, self._times = source, key, 1
            return cause
        self._times += 1
        if self._times > _ASIDE + 1:
            source.done(key)
            self.source = None
            return cause
        if self._times >= _CUT and hasattr(source, "cut") and source.cut(key, flight.size // 2):
            self._times = 1  # what is still too long is cut at its next failure
            return "too-long"
        return "undeliverable" if self._times >= _ASIDE else cause

    def is_aside(self, source, key):
        """Whether that Message is to be passed over for now."""
        return self._times == _ASIDE and self.source is source and self.key == key

    def carried(self, flight):
        """`flight` has arrived. Returns whether Messages may go several at a time again."""
        source = flight.source
        if not getattr(source, "carried", True):
            return False  # it was short, and proves nothing for the others of its source
        if hasattr(source, "cut"):  # a batch, the longest there is
            self.early = 0
        if self.source is source:
            if self._times == _ASIDE:
                self._times += 1  # the way carries others: once more
                source.rewind()
            elif self._times < _ASIDE or self.key == flight.key:
                self.source = None
        return not self.early
