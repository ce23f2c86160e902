"""What came down becomes a Command, or says why it does not.

At most 1 KB and 64 structural characters, counted before anything is built. Every key is known and
has one type. Neither the clock nor the params' meaning is looked at here.
"""

from collections import namedtuple

from node.shared import topic_rules, topics
from node.shared.strictjson import DUPLICATE, NOT_JSON, TOO_COMPLEX, Shape

SIZE_MAX = 1024
STRUCTURAL_MAX = 64
ID_MAX = 64
TS_MAX = 4294967295
# 30 days: no session is kept for longer.
TTL_MAX_S = 2592000

# id: None when it cannot be read. fault: None or (code, text). reply_to: always one of our own.
Command = namedtuple("Command", ("id", "action", "params", "ts", "ttl", "reply_to", "fault"))

_KEYS = ("v", "id", "action", "params", "ts", "ttl", "reply_to")
_TEXTS = {
    NOT_JSON: "must be JSON, in UTF-8",
    DUPLICATE: "each key once",
    TOO_COMPLEX: "at most %d of {}[]:, outside strings, 8 levels, 20 digits" % STRUCTURAL_MAX,
}


def parse(payload, base):
    """Command of a payload (bytes) for the device whose topics are below `base` (str).

    A payload that cannot be parsed still gives its id if the outermost object has one, as a plain
    string, before the fault and within the first SIZE_MAX bytes. Never raises for bad input.
    """
    home = base + "/" + topics.RESPONSE
    shape = Shape(payload, min(len(payload), SIZE_MAX), STRUCTURAL_MAX, b"id")
    if len(payload) > SIZE_MAX:
        return _unread(shape.found, home, ("too-long", "at most %d bytes" % SIZE_MAX))
    try:
        values = shape.load()
    except ValueError as exc:
        return _unread(shape.found, home, (exc.args[0], _TEXTS[exc.args[0]]))
    if not isinstance(values, dict):
        return _unread(None, home, ("not-an-object", ""))
    if not _is_id(values.get("id")):
        return _unread(None, home, ("no-id", ""))
    fault = _fault(values)
    reply_to = values.get("reply_to", home)
    if not isinstance(reply_to, str) or not topic_rules.may_reply(base, reply_to):
        reply_to = home
        fault = fault or ("bad-reply-to", "only %s, or one level below it" % home)
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


def _is_id(id):
    return isinstance(id, str) and 1 <= len(id) <= ID_MAX and all(" " <= c <= "~" for c in id)


def _whole(value, high):
    # Not isinstance: true would pass for 1.
    return type(value) is int and 0 <= value <= high


def _fault(values):
    """(code, text) of the first rule that the members break, or None."""
    for name in values:
        if name not in _KEYS:
            return "unknown-key", "known: " + ", ".join(_KEYS)
    if "v" in values and not (_whole(values["v"], 1) and values["v"]):
        return "bad-version", "v must be 1"
    if not isinstance(values.get("action"), str):
        return "bad-action", "action must be a string"
    if not isinstance(values.get("params", {}), dict):
        return "bad-params", "params must be an object"
    if "ts" in values and not _whole(values["ts"], TS_MAX):
        return "bad-ts", "ts must be whole seconds since 1970, UTC"
    if "ttl" in values:
        if "ts" not in values:
            return "bad-ttl", "ttl needs ts"
        if not _whole(values["ttl"], TTL_MAX_S):
            return "bad-ttl", "ttl must be whole seconds, 0 to %d" % TTL_MAX_S
    return None
