"""Cases of lib/transport.py: which word stands for what has gone wrong, on any port."""

import errno
import sys

import transport
import transport_causes

DOING = ("tcp", "tls", "mqtt")


def _cause(code: int, doing: str) -> str:
    return transport_causes.cause_of(OSError(code, "words"), doing)


def case_memory() -> None:
    """Want of memory is called so whoever runs out of it: MicroPython, the stack, TLS, its RSA."""
    for doing in DOING:
        assert transport_causes.cause_of(MemoryError("memory allocation failed"), doing) == "memory"
        # ENOMEM; MBEDTLS_ERR_SSL_ALLOC_FAILED; RSA's public and private operation that had none.
        for code in (errno.ENOMEM, -0x7F00, -0x4290, -0x4320):
            assert _cause(code, doing) == "memory", (doing, code)


def case_connecting() -> None:
    """Nobody listens, nobody answers, there is no way: three words."""
    for name, cause in (
        ("ECONNREFUSED", "tcp-refused"),
        ("ECONNRESET", "tcp-refused"),
        ("ETIMEDOUT", "tcp-timeout"),
        ("ECONNABORTED", "tcp-timeout"),
        ("EHOSTUNREACH", "tcp-unreachable"),
        ("EIO", "tcp-unreachable"),
    ):
        assert _cause(getattr(errno, name), "tcp") == cause, name


def case_handshake() -> None:
    """A peer that speaks no TLS, one that closes amid it, and one that says no."""
    assert _cause(-0x7200, "tls") == "tls-plaintext"
    assert _cause(-0x7780, "tls") == "tls-refused"
    for code in (errno.ECONNRESET, -errno.ECONNRESET, -0x7880, -0x7280, -32):
        assert _cause(code, "tls") == "tls-closed", code


def case_certificate() -> None:
    """What is wrong with a certificate, in Mbed TLS's words; the worst of several is the cause."""
    for words, cause in (
        ("The certificate is not correctly signed by the trusted CA", "certificate-untrusted"),
        ("The certificate validity has expired", "certificate-expired"),
        ("The certificate validity starts in the future", "certificate-not-yet-valid"),
        ("The certificate Common Name (CN) does not match", "certificate-name"),
        ("does not match\nhas expired", "certificate-expired"),
        ("has expired\nnot correctly signed", "certificate-untrusted"),
        ("something else", "certificate"),
    ):
        for doing in ("tls", "mqtt"):
            assert transport_causes.cause_of(ValueError(words), doing) == cause, words


def case_up() -> None:
    """Whatever the network does is a close; what TLS has found amiss is not."""
    for code in (errno.ECONNRESET, errno.ETIMEDOUT, errno.EHOSTUNREACH, 32):
        assert _cause(code, "mqtt") == "closed", code
    for code in (-0x7880, -0x7280, -32, -errno.ECONNRESET):
        assert _cause(code, "mqtt") == "closed", code
    for code in (-0x7200, -0x7180):
        assert _cause(code, "mqtt") == "tls-broken", code
    assert _cause(-0x7780, "mqtt") == "tls-refused"  # TLS 1.3: only now does a server judge


class _Ending:
    """A socket whose end is an error."""

    def readinto(self, buffer: bytearray) -> int:
        raise OSError(errno.ECONNRESET)


class _Missing:
    """A module that cannot be loaded."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> object:
        raise self._error


def _end_without(error: Exception) -> "str | None":
    """The cause, where what tells it cannot be loaded for `error`."""
    ending = transport.Transport()
    ending._io = _Ending()
    ending._doing = "up"
    kept = sys.modules["transport_causes"]
    sys.modules["transport_causes"] = _Missing(error)  # type: ignore[assignment]
    try:
        assert ending.readinto(bytearray(1)) is None
    finally:
        sys.modules["transport_causes"] = kept
    return ending.cause


def case_reasons_cannot_be_loaded() -> None:
    """Without room for them it is `memory`; a flash that fails leaves it at a close."""
    assert _end_without(MemoryError()) == "memory"
    assert _end_without(OSError(errno.EIO)) == "closed"
