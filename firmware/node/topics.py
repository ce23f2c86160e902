"""Names of the topics: `{org}/{site}/{zone}/{device-type}/{device-id}/{data-type}`.

Lower case and hyphens, no leading slash, no wildcard, at most 7 slashes (some brokers allow no
more). It will not subscribe, match filters or know who may write where: a node has no wildcard
subscription.
"""

TELEMETRY = "telemetry"
STATUS = "status"
HEALTH = "health"
ALERTS = "alerts"
COMMANDS = "commands"
RESPONSE = "commands/response"
DESIRED = "config/desired"
REPORTED = "config/reported"

PART_MAX = 32
# One level below commands/response, made up by whoever asks: a UUID in text has 36 characters.
REPLY_PART_MAX = 64

_ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789-"


def base(org, site, zone, device_type, device_id):
    """Topic (str) below which a device has all its own. The parts are those of a checked config."""
    return "/".join((org, site, zone, device_type, device_id))


def fault(part, length_max=PART_MAX):
    """The rule that one level of a topic breaks (str), or None when it keeps them all."""
    if not part:
        return "must not be empty"
    if len(part) > length_max:
        return "at most %d characters" % length_max
    if part[0] == "/":
        return "no leading slash"
    if "/" in part:
        return "no slash: it is one level, a whole topic has at most 7 slashes"
    if "+" in part or "#" in part:
        return "no wildcard"
    if part != part.lower():
        return "no upper case"
    for char in part:
        if char not in _ALLOWED:
            return "only a-z, 0-9 and hyphens"
    if part[0] == "-":
        return "must start with a letter or a digit"
    return None


def may_reply(own, reply_to):
    """True when `reply_to` (str) is the device's own commands/response or one level below it.

    own: the device's base topic. A second level would be the eighth slash.
    """
    root = own + "/" + RESPONSE
    if reply_to == root:
        return True
    root += "/"
    return reply_to.startswith(root) and fault(reply_to[len(root) :], REPLY_PART_MAX) is None
