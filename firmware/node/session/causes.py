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

_FIGHT_MS = const(900000)  # see link.py: a connection that is older has its id for itself
_SHORT_MS = const(5000)  # a connection that was up for less was thrown out rather than lost
_MANY = const(3)
# Of the chip's own heap, with MicroPython 1.23 to 1.27: what a TLS handshake takes.
_HANDSHAKE = const(34 * 1024)


class Past:
    """What is known of the connections before. It has no methods: whoever holds one does not hold
    this module.

    `cause`  what the broker refuses if it does greet the next CONNECT, or None
    `qos`    the most that the will may have in that
    """

    # How many in a row were up for a moment only; were closed by the broker before it was sure that
    # nobody else wants the id; were closed instead of CONNACK.

    _short = _thrown = _mute = 0
    cause = None
    qos = 1


def judged(link, past, cause, now):
    """The cause of the end of the Link's connection by its right name, and its class. `past` is
    brought up to date.
    """
    connection, heap = link.connection, link.board.idf_heap()
    past.cause = None
    if connection.up_at is not None:
        past._mute = 0
        past._short = past._short + 1 if now - connection.up_at < _SHORT_MS else 0
        if past._short >= _MANY:
            link.client.clean_session = True
        if cause != "closed" or connection.trust_at > connection.up_at + _FIGHT_MS:
            past._thrown = 0
        else:
            # The broker gives no reason (MQTT 3.1.1 section 3.1.4: it must throw the older out).
            # Closes in a row and strange statuses tell of a rival.
            past._thrown += 1
            if past._thrown >= _MANY and link.status.rivals > 1:
                cause = TAKEN
    elif cause == "closed" and connection.state == "greeting":
        # Three times; then without retain, then with QoS 0 as well, to find out why; and once more.
        past._mute = past._mute + 1 if past._mute <= _MANY else _MANY - 1
        if past._mute >= _MANY:
            past.cause = _NO_RETAIN if past._mute == _MANY else _NO_QOS
    elif cause in (_NO_RETAIN, _NO_QOS):
        past._mute = _MANY - 1  # the next CONNECT is as it should be, and may be taken
    past.qos = 0 if past._mute > _MANY else 1
    # Mbed TLS, which cannot check a signature for want of memory, calls the certificate untrusted.
    # By now the connection is closed, and its memory back.
    of_tls = cause.startswith("certificate") or cause.startswith("tls-")
    if of_tls and heap and heap[0] < _HANDSHAKE:
        cause = "memory"
    return cause, RIVAL if cause == TAKEN else REFUSED if cause in _REFUSED else NETWORK
