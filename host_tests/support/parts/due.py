"""A part's turn, as the supervisor gives it, and what a source says when the Link asks it: see
firmware/node/shared/message.py. Both Pythons.
"""

from collections import namedtuple

Message = namedtuple("Message", "topic payload qos")


def run_due(part: object, now: int) -> bool:
    """Run `part` if it is due, which must lie ahead afterwards. Return whether it was."""
    due = part.due  # type: ignore[attr-defined]
    if due is None or now < due:
        return False
    part.run(now)  # type: ignore[attr-defined]
    due = part.due  # type: ignore[attr-defined]
    assert due is None or due > now, (type(part).__name__, now, due)
    return True


def peeked(source, now):  # type: ignore[no-untyped-def]
    """What a source gives the Link to send at `now`, or None; it has had its turn before."""
    run_due(source, now)
    return given(source, now) if source.ready else None


def given(source, now):  # type: ignore[no-untyped-def]
    """(key, Message) of the next one to send, or None: not yet."""
    key = source.peek(now)
    if key is None:
        return None
    packet = bytearray()
    source.write(packet)
    return key, Message(source.topic, bytes(packet), source.qos)
