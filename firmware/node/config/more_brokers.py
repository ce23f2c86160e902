"""The brokers that a node has besides the one of its identity: their list, checked and read.

Imported where there are some, and let go of. They stand in the settings: code from before that
field, which a node falls back to, has settings of its own that do not have it, where an identity
with an unknown key would be refused.
"""

from node.config import rules

_MAX = 3  # and `broker`


def split(found, port):
    """The list as (host, port) each; `port` where an entry has none."""
    return [(host, port if own is None else own) for host, own in [_parts(each) for each in found]]


def fault(found, own=None):
    """The rule that the list breaks by itself or, if it is a good one, beside the identity `own`
    (dict); None: none.

    One that is `broker` itself is no fault: an identity that is new may name what old settings do,
    and costs a try in vain now and then. Whoever writes both looks for it.
    """
    if own:
        return _beside(split(found, own["port"]), own)
    if not isinstance(found, list):
        return "must be a list"
    if not 1 <= len(found) <= _MAX:
        return "must have 1 to %d entries" % _MAX
    seen = []
    for each in found:
        if not isinstance(each, str):
            return "each must be a string"
        host, port = _parts(each)
        wrong = rules.host(host)
        if wrong:
            return "each " + wrong
        if port is not None and not 1 <= port <= 65535:
            return "each port must be 1 to 65535"
        seen.append((host.lower(), port))
    if len(set(seen)) < len(seen):
        return "must not name one twice"
    return None


def _beside(found, own):
    for host, port in found:
        if rules.is_public(host) and not own["allow_public_broker"]:
            return 'a public broker only with "allow_public_broker": true'
        if not rules.is_loopback(host):
            if port == 1883:
                return "1883 is not encrypted: only to loopback"
            if own["ca"] is None:
                return '"ca": null is for loopback only'
    return None


def _parts(text):
    """(host, port or None) of a host, host:port, or [IPv6]:port. What is no port counts as 0."""
    host, colon, port = text.rpartition(":")
    if host[:1] == "[" and host[-1:] == "]":
        host = host[1:-1]
    elif not colon or ":" in host:
        return text, None  # an address of IPv6
    digits = port and len(port) < 6 and all(each in "0123456789" for each in port)
    return host, int(port) if digits else 0
