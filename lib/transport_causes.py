"""The causes for which a connection (transport.py) ends. Apart from it, because they are asked for
only then: whoever is short of heap may forget this module afterwards.
"""

import errno

from micropython import const

# Mbed TLS's own error numbers (mbedtls/ssl.h); MicroPython passes them on in OSError.errno, in
# which they are negative.
_FATAL_ALERT = const(-0x7780)
_INVALID_RECORD = const(-0x7200)
# The peer's close_notify, and the end without one. What the socket below TLS says comes through it
# with the sign turned; EPIPE has no name here, and the same number everywhere.
_GONE = (-0x7880, -0x7280, -32, -errno.ECONNRESET)
_ALLOC_FAILED = (-0x7F00, -0x4290, -0x4320)  # ssl, and what RSA and big numbers make of it on ESP32

# Mbed TLS tells the reasons of a failed verification in words only. The first that is found counts:
# a certificate that nobody vouches for says nothing worth knowing about its name or its dates.
_CERTIFICATE = (
    ("correctly signed", "certificate-untrusted"),
    ("has expired", "certificate-expired"),
    ("in the future", "certificate-not-yet-valid"),
    ("does not match", "certificate-name"),
)


def cause_of(error, doing):
    """The cause that `error` (OSError, ValueError or MemoryError) stands for while `doing` "tcp",
    "tls", "mqtt" or, once the peer is `proven`, "up": a word for logs, counters and back-off, the
    same on every port.
    """
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, ValueError):
        text = str(error)
        for words, cause in _CERTIFICATE:
            if words in text:
                return cause
        return "certificate"
    code = error.errno
    if code == errno.ENOMEM or code in _ALLOC_FAILED:
        return "memory"
    if code == _FATAL_ALERT:
        # The server's last word. With TLS 1.3 it judges the client's certificate only after the
        # client has finished. Whoever was let in is not refused.
        return "tls-broken" if doing == "up" else "tls-refused"
    if doing == "tls":
        return "tls-plaintext" if code == _INVALID_RECORD else "tls-closed"
    if doing == "tcp":
        if code in (errno.ECONNREFUSED, errno.ECONNRESET):  # lwIP does not tell them apart
            return "tcp-refused"
        # ECONNABORTED: lwIP has sent its last SYN in vain.
        timeout = code in (errno.ETIMEDOUT, errno.ECONNABORTED)
        return "tcp-timeout" if timeout else "tcp-unreachable"
    return "closed" if code in _GONE or (isinstance(code, int) and code > 0) else "tls-broken"
