"""What a value of the config has to be, one function for each kind: it returns the rule that a
value breaks (str), or None.

Pure; nothing here knows a field's name, and no rule quotes the value: it may be a password.
"""

from node.shared import topic_rules

# These names are people and servers in the broker's access rules. One text, as those below:
# MicroPython keeps every short one for good.
RESERVED_IDS = "admin operator limpet monitor watch root broker"

# A round of silent time servers takes 2 s each.
HOSTS_MAX = 4

# Brokers where anybody reads what anybody sends; the names below these domains count too.
PUBLIC_BROKERS = (
    "mosquitto.org broker.hivemq.com mqttdashboard.com emqx.io eclipseprojects.io iot.eclipse.org "
    "mqtthq.com mqtt.cool mosca.io fluux.io bevywise.com"
)


def is_loopback(host):
    """True for localhost, 127.0.0.0/8 and ::1 (str) as written: 127.1 or 0177.0.0.1 are not."""
    if host.lower() == "localhost" or host == "::1":
        return True
    return _is_ipv4(host) and int(host.split(".")[0]) == 127


def is_public(host):
    """True when `host` (str) is, or is below, one of PUBLIC_BROKERS."""
    host = host.lower()
    return any(host == name or host.endswith("." + name) for name in PUBLIC_BROKERS.split())


def whole(low, high, zero=None):
    """A whole number from `low` to `high`, or 0 where that means `zero` (str)."""

    def rule(value):
        if type(value) is not int:  # isinstance would take true for 1
            return "must be a whole number"
        if low <= value <= high or (zero and value == 0):
            return None
        return "must be %d to %d%s" % (low, high, ", or 0 for " + zero if zero else "")

    return rule


def text(low, high):
    """A text of `low` to `high` bytes in UTF-8."""

    def rule(value):
        if not isinstance(value, str):
            return "must be a string"
        if not low <= len(value.encode()) <= high:
            return "must have %d to %d bytes" % (low, high)
        if any(c < " " or c == "\x7f" for c in value):
            return "no control characters"
        return None

    return rule


def flag(value):
    """True or false, and no number."""
    return None if isinstance(value, bool) else "must be true or false"


def part(value):
    """One level of a topic."""
    return topic_rules.fault(value) if isinstance(value, str) else "must be a string"


def device_id(value):
    """One level of a topic, and nobody else's name."""
    return part(value) or ("is a reserved name" if value in RESERVED_IDS.split() else None)


def host(value):
    """A host name or an address (str)."""
    if not isinstance(value, str):
        return "must be a string"
    if not 1 <= len(value) <= 253:
        return "must have 1 to 253 characters"
    if value == "ADDRESS":
        return "must be the address itself, not the word for it"
    if value.count(":") == 1:
        return "must not contain the port"
    name = value.lower()
    address = ":" in name
    if not _only(name, _IPV6 if address else _CHARACTERS):
        return "must be a host name or an IP address and nothing else"
    if address:
        return None if _is_ipv6(name) else "must be an IPv6 address in full, or with one ::"
    labels = name.split(".")
    if any(not each or each[0] == "-" or each[-1] == "-" for each in labels):
        return "must be a host name: letters, digits and hyphens between dots"
    last = labels[-1]
    if (last.isdigit() or (last[:2] == "0x" and _only(last[2:], _HEX))) and not _is_ipv4(name):
        return "must be four numbers up to 255, without leading zeros: no name ends in a number"
    return None


def _only(text, characters):
    return all(each in characters for each in text)


def _is_ipv4(host):
    octets = host.split(".")
    return len(octets) == 4 and all(
        each.isdigit() and len(each) < 4 and str(int(each)) == each and int(each) < 256
        for each in octets
    )


def _is_ipv6(host):
    """Whether hexadecimal digits, colons and dots are one (RFC 4291, 2.2)."""
    last = host.rpartition(":")[2]
    if "." in last:
        if not _is_ipv4(last):
            return False
        host = host[: -len(last)] + "0:0"
    halves = host.split("::")
    groups = [each for half in halves if half for each in half.split(":")]
    if len(halves) > 2 or not all(0 < len(each) < 5 and "." not in each for each in groups):
        return False
    return len(groups) == 8 if len(halves) == 1 else len(groups) < 8


def hosts(value):
    """A list of hosts."""
    if not isinstance(value, list):
        return "must be a list"
    if not 1 <= len(value) <= HOSTS_MAX:
        return "must have 1 to %d entries" % HOSTS_MAX
    for each in value:
        fault = host(each)
        if fault:
            return "each " + fault
    return None


_HEX = "0123456789abcdef"
_IPV6 = "0123456789abcdef:."
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-."
