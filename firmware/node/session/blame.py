"""Which Message it is that the way to the broker does not carry: a broker with a limit for packets
closes, a tunnel with a smaller MTU swallows, and neither says why.

The Link imports this when a connection has ended with one Message in flight, after others had ended
early before. One failure proves nothing: networks break by themselves. A batch that was alone in
flight at the end of two connections in a row comes in halves, which costs little should it have
been innocent. What cannot be cut has to have been so five times, each time on a connection that had
its birth acknowledged; then it is set aside until another one of its source has got through. If
that one does not, either, it was not the Message. If it does, the Message is sent once more, as the
way may have been mended by then; and when that ends the connection, too, it is given up.
"""

from micropython import const

_TIMES = const(2)  # its place in a suspect
_CUT = const(2)
_ASIDE = const(5)  # the Link's, too


def blamed(link, cause, source, key, size):
    """The cause of an end with the Message `key` of `source` alone in flight, `size` bytes:
    `too-long` when the source makes it smaller from now on, `undeliverable` when it is set aside.

    The Link's suspect, [source, key, how often in a row], is None when it is given up.
    """
    why, link._suspect = _judged(cause, link._suspect, source, key, size)
    if why != cause or not link._suspect:
        # The session is given up: what it has in flight would have to come again as it was (MQTT
        # 3.1.1 section 4.4). A clean one knows nothing of that (3.1.2.4).
        link._client.clean_session = True
        link._in_flight, link._resume = [], []
    return why


def _judged(cause, suspect, source, key, size):
    if not suspect or suspect[:2] != [source, key]:
        return cause, [source, key, 1]
    suspect[_TIMES] += 1
    if suspect[_TIMES] > _ASIDE + 1:
        source.done(key)
        return cause, None
    if suspect[_TIMES] >= _CUT and hasattr(source, "cut") and source.cut(key, size // 2):
        suspect[_TIMES] = 1  # what is still too long is cut at its next failure
        return "too-long", suspect
    return ("undeliverable" if suspect[_TIMES] >= _ASIDE else cause), suspect
