"""What the birth and the log say of this boot. Imported at the start, and let go of."""

from node.shared.version import VERSION


def facts(rtc_state, crashes, reset):
    """Pairs of name and value: the version, `reset` (what began the boot), why the node did that
    itself if so, and safe mode.
    """
    found = [("fw", VERSION), ("reset", reset)]
    why = rtc_state.take("why")
    if why:
        found.append(("why", why))
    if crashes.safe:
        found.append(("mode", "safe"))
    return found


def words(facts, board, device):
    """The same as words of the log, with the names of Board and device behind the reset."""
    pairs = facts[:2] + [("board", board), ("device", device)] + facts[2:]
    return ["%s=%s" % each for each in pairs]
