"""How batches come out of the log and on their way: what a Backlog does while it has any, and whose
affairs it knows. Imported then, and let go of.
"""

from micropython import const

_POSITION = const(0)  # in what is in flight, and in what was peeked at
_OUT = const(3)
_COUNT = const(0)  # in what `batch_at` has made
_PAYLOAD = const(1)
_BATCH_MAX = const(100)  # Readings in a Message
_RETRY_MS = const(60000)  # after flash could not be read
_MANY_EARLY = const(3)  # the Link's, too


def found(backlog):
    """Position of the batch that is next, or None."""
    log, head = backlog._log, backlog.head
    if head.way:
        head.way.step(backlog, backlog._now)
    while True:
        again = _again(backlog)
        position = again[_POSITION] if again else _skip(backlog)
        if position >= log.next:
            if not backlog._back or (head.way and head.way.source):
                if backlog._buffer:
                    backlog._buffer = b""  # up to 2 KB that the next outage may have again
                    backlog._batch_max = _BATCH_MAX  # for which there may be heap by then
                return None
            backlog._back = {}  # nothing else is left for the trial
            backlog._next = log.first
            continue
        if not again:
            if backlog._now < backlog._not_before or not _is_open(backlog):
                return None
            if head.doubtful and head.way and head.way.heard is None:
                position = head.way.last(position, log.next, lambda at: _taken(backlog, at))
        peeked = backlog._peeked
        if peeked is not None and peeked[_POSITION] == position:
            return position
        try:
            start, made = _read(backlog, position, again)
        except OSError:
            backlog.errors += 1
            backlog._not_before = backlog._now + _RETRY_MS
            backlog.due = 0
            return None
        except MemoryError:
            backlog.cut(None, 0)
            backlog.due = 0  # for half as many
            if again:
                backlog._flight.remove(again)
                raise  # not the same again: the Link has to know
            return None
        if start == position:
            backlog._peeked = made and (position, made[_COUNT], made[_PAYLOAD])
            return position if made else None
        backlog._arrived(position, start - position)  # damaged: nothing left to wait for


def sent(backlog, key):
    """The batch that begins at `key` is on its way."""
    _, count, payload = backlog._peeked
    for each in backlog._flight:
        if each[_POSITION] == key:
            each[_OUT] = True
            break
    else:
        own, way = backlog.topic == backlog._encode.backlog, backlog.head.way
        backlog._flight.append([key, count, own, True])
        if own and way and way.heard is None:
            way.tried(backlog, key, payload, backlog._now)
            backlog.head.due = 0
    backlog._peeked = None
    if backlog._rate:
        backlog._not_before = backlog._now + count * 1000 // backlog._rate
        backlog.due = 0


def _again(backlog):
    """What was in flight before, and is to come again ahead of all else, or None."""
    for each in backlog._flight:
        if not each[_OUT] and each[_POSITION] >= backlog._log.first:
            return each
    return None


def _skip(backlog):
    """Position of the first one that is not sent, nor with Live."""
    position = max(backlog._next, backlog._log.first)
    taken = 1
    while taken:
        taken = _taken(backlog, position)
        position += taken
    backlog._next = position
    return position


def _taken(backlog, position):
    """How many from this position on are sent, or with Live."""
    if position in backlog._live:
        return 1
    for others in (backlog._done, backlog._back):
        for start in others:
            if start <= position < start + others[start]:
                return start + others[start] - position
    for start, count, _, _ in backlog._flight:
        if start <= position < start + count:
            return start + count - position
    return 0


def _is_open(backlog):
    """Whether the way is clear for a batch that has not been sent."""
    head = backlog.head
    if head.way is None and head.client and head.doubtful < _MANY_EARLY:
        from node.readings.way import Way

        head.way = Way(head.client, backlog._encode.backlog, backlog._now)
        head.due = 0
    return head.way is None or head.way.clear(backlog._now)


def _read(backlog, position, again):
    """(position of what was found, (count, payload) or None) from there on.

    again: what is in flight from there on, and has to be the same again; or None. Raises OSError,
    MemoryError.
    """
    log, way = backlog._log, backlog.head.way
    most = backlog._batch_max
    own = way is not None and way.heard is not False
    if again:  # it may go out under its old packet id
        _, most, own, _ = again
    elif own and way.heard is None:
        most = 1
    limit = min(most, log.next - position)
    # What they name is not for this batch.
    flying = [each[_POSITION] for each in backlog._flight]
    for others in (backlog._live, backlog._done, backlog._back, flying):
        for other in others:
            if other > position:
                limit = min(limit, other - position)
    # No longer than it has to be: a piece of 2 KB may be one that the heap grows for.
    if backlog._buffer is None or len(backlog._buffer) < limit * backlog._size:
        backlog._buffer = bytearray(limit * backlog._size)
    start, count = log.read(position, backlog._buffer, limit)
    if start != position:
        return start, None
    encode = backlog._encode
    # QoS 1 on the topic of their own, whatever a live one is.
    backlog.topic, backlog.qos = (encode.backlog, 1) if own else (encode.topic, encode.qos)
    made = encode.batch_at(backlog._buffer, count, backlog._now, own)
    while made and not again and made[_COUNT] > 1:
        size = len(made[_PAYLOAD])
        if size <= backlog._payload_max:
            break
        count = max(made[_COUNT] * backlog._payload_max // size, 1)
        backlog._batch_max = count
        made = encode.batch_at(backlog._buffer, count, backlog._now, own)
    return start, made
