"""A part's turn, as the supervisor gives it: see firmware/node/shared/message.py. Both Pythons."""


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
    return source.peek(now) if source.ready else None
