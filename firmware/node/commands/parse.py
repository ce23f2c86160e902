"""What came down becomes a Command, or says why it does not.

At most 1 KB and 64 structural characters, counted before anything is built. Every key is known and
has one type. Neither the clock nor the params' meaning is looked at here.
"""

from collections import namedtuple

from node.shared import topics
from node.shared.strictjson import TOO_COMPLEX, Shape

SIZE_MAX = 1024
STRUCTURAL_MAX = 64
ID_MAX = 64
TS_MAX = 4294967295
# 30 days: no session is kept for longer.
TTL_MAX_S = 2592000

# id: None when it cannot be read. fault: None, or what texts.told() takes: a code, and what belongs
# into its text. reply_to: always one of our own.
Command = namedtuple("Command", "id action params ts ttl reply_to fault")

_KEYS = "v id action params ts ttl reply_to"


def parse(payload, base):
    """Command of a payload (bytes) for the device whose topics are below `base` (str).

    A payload that cannot be parsed still gives its id if the outermost object has one, as a plain
    string, before the fault and within the first SIZE_MAX bytes. Never raises for bad input.
    """
    home = base + "/" + topics.RESPONSE
    shape = Shape(payload, min(len(payload), SIZE_MAX), STRUCTURAL_MAX, b"id")
    if len(payload) > SIZE_MAX:
        return _unread(shape.found, home, ("too-long", SIZE_MAX))
    try:
        values = shape.load()
    except ValueError as exc:
        code = exc.args[0]
        fault = (code, STRUCTURAL_MAX) if code == TOO_COMPLEX else (code,)
        return _unread(shape.found, home, fault)
    if not isinstance(values, dict):
        return _unread(None, home, ("not-an-object",))
    if not _is_id(values.get("id")):
        return _unread(None, home, ("no-id",))
    fault = _fault(values)
    reply_to = values.get("reply_to", home)
    if reply_to != home and not _may_reply(home, reply_to):
        reply_to = home
        fault = fault or ("bad-reply-to", home)
    action = values.get("action")
    return Command(
        values["id"],
        action if isinstance(action, str) else None,
        values.get("params", {}),
        values.get("ts"),
        values.get("ttl"),
        reply_to,
        fault,
    )


def _unread(found, reply_to, fault):
    id = None
    if found and all(32 <= byte < 127 for byte in found):
        id = str(found, "ascii")
    return Command(id, None, None, None, None, reply_to, fault)


def _may_reply(home, reply_to):
    """Whether it is one level below `home`. A second one would be the eighth slash."""
    if not isinstance(reply_to, str) or not reply_to.startswith(home + "/"):
        return False
    from node.shared.topic_rules import REPLY_PART_MAX, fault

    return fault(reply_to[len(home) + 1 :], REPLY_PART_MAX) is None


def _is_id(id):
    return isinstance(id, str) and 1 <= len(id) <= ID_MAX and all(" " <= c <= "~" for c in id)


def _whole(value, high):
    # Not isinstance: true would pass for 1.
    return type(value) is int and 0 <= value <= high


def _fault(values):
    """What texts.told() takes of the first rule that the members break, or None."""
    keys = _KEYS.split(" ")
    for name in values:
        if name not in keys:
            return ("unknown-key",)
    code = None
    if "v" in values and not (_whole(values["v"], 1) and values["v"]):
        code = "bad-version"
    elif not isinstance(values.get("action"), str):
        code = "bad-action"
    elif not isinstance(values.get("params", {}), dict):
        code = "bad-params"
    elif "ts" in values and not _whole(values["ts"], TS_MAX):
        code = "bad-ts"
    elif "ttl" in values:
        if "ts" not in values:
            code = "bad-ttl ts"
        elif not _whole(values["ttl"], TTL_MAX_S):
            return "bad-ttl", TTL_MAX_S
    return code and (code,)
