"""What a lost connection, or one that did not come about, is called, and how long to wait after it.

When the next try is, lib/backoff.py decides.
"""

from micropython import const

TAKEN = "client-id-taken"
_NO_RETAIN = const("retain-refused")
_NO_QOS = const("qos-refused")
# What a person has to mend, at one end or the other. Everything else is the network's or the
# broker's, and passes.
_REFUSED = (
    "certificate",
    "certificate-untrusted",
    "certificate-expired",
    "certificate-not-yet-valid",
    "certificate-name",
    "tls-refused",
    "protocol-version",
    "client-id",
    "credentials",
    "not-authorized",
    "not-authorized-here",
    _NO_RETAIN,
    _NO_QOS,
)
REFUSED = "refused"
NETWORK = "network"
RIVAL = "rival"
FLOORS_MS = {
    REFUSED: 60000,
    RIVAL: 300000,
}  # least wait after a failure of that class, for lib/backoff.py

_SHORT_MS = const(5000)  # a connection that was up for less was thrown out rather than lost
_SHORT = const(0)  # in `past`
_THROWN = const(1)
_MUTE = const(2)
_PROBE = const(3)
_MANY = const(3)
# Of the chip's own heap, with MicroPython 1.23 to 1.27: what a TLS handshake takes.
_HANDSHAKE = const(34 * 1024)


def judged(link, cause, up_ms):
    """The cause by its right name, and its class. up_ms: how long the Link was up, or None. Its
    `_past` is brought up to date.
    """
    past, trust, heap = link._past, link._trust, link._idf_heap()
    past[_PROBE] = None
    if up_ms is not None:
        past[_MUTE] = 0
        past[_SHORT] = past[_SHORT] + 1 if up_ms < _SHORT_MS else 0
        cause = _thrown_out(past, cause, trust, link._status.rivals)
    elif cause == "closed" and link._reached == "greeting":
        # Three times; then without retain, then with QoS 0 as well, to find out why; and once more.
        past[_MUTE] = past[_MUTE] + 1 if past[_MUTE] <= _MANY else _MANY - 1
        if past[_MUTE] >= _MANY:
            past[_PROBE] = _NO_RETAIN if past[_MUTE] == _MANY else _NO_QOS
    elif cause in (_NO_RETAIN, _NO_QOS):
        past[_MUTE] = _MANY - 1  # the next CONNECT is as it should be, and may be taken
    # Mbed TLS, which cannot check a signature for want of memory, calls the certificate untrusted.
    # By now the connection is closed, and its memory back.
    of_tls = cause.startswith("certificate") or cause.startswith("tls-")
    if of_tls and heap and heap[0] < _HANDSHAKE:
        cause = "memory"
    return cause, RIVAL if cause == TAKEN else REFUSED if cause in _REFUSED else NETWORK


def _thrown_out(past, cause, trust, rivals):
    """The cause, or TAKEN where closes in a row and strange statuses tell of a rival. The broker
    gives no reason (MQTT 3.1.1 section 3.1.4: it must throw the older out).
    """
    if cause != "closed" or trust == 2:
        past[_THROWN] = 0
        return cause
    past[_THROWN] += 1
    return cause if past[_THROWN] < _MANY or rivals < 2 else TAKEN
