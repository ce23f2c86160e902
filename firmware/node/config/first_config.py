"""What a node without an identity is handed: one line of JSON, checked whole before any is kept.

    the fields of identity and settings, but for ca, cert and key (config.py says which there are)
    ca_der, cert_der, key_der    the credentials themselves: DER in base64
    crc32                        may come last: 8 hex digits, the CRC-32 of all that is before it

A serial line may drop bytes, and most of what is left would be as good a config as the one meant:
hence the CRC, which whoever writes the line by hand can leave out.

A refusal names the field and the rule, never the value. It writes nothing, and does not verify that
the CA has signed the certificate, which the broker does, or that an RSA key is of its certificate.
"""

from binascii import a2b_base64, b2a_base64
from hashlib import sha256

from node.config import config
from node.config.settings import unseal
from node.config.written import encoded, sealed
from node.shared.errors import ConfigError
from node.shared.strictjson import Shape

# Room for credentials with 2048-bit RSA keys, which are 4 KB of it; with P-256 it is 1.5 KB.
LINE_MAX = 6144

_CREDENTIALS = ("ca", "cert", "key")
_COMMON_NAME = b"\x55\x04\x03"  # 2.5.4.3, X.520
# How the public half begins in a key on P-256 (RFC 5915): a bit string, the point uncompressed.
_POINT = b"\x03\x42\x00\x04"
_SEQUENCE = 0x30
_INTEGER = 0x02


def read(line, loads):
    """Take the line (bytes). Returns its fields (dict), with names for the credentials, and these
    by name (dict of bytes).

    loads(ca, cert, key) is whether TLS takes the three. Raises ConfigError(field, rule).
    """
    if len(line) > LINE_MAX:
        raise ConfigError("line", "must have at most %d bytes" % LINE_MAX)
    body = unseal(line)
    if body is None:
        raise ConfigError("crc32", "the line was damaged on its way")
    try:
        # Twice three credentials and the CRC, each a comma and a colon.
        values = Shape(body, len(body), config.STRUCTURAL_MAX + 8).load()
    except ValueError as error:
        raise ConfigError("line", "must be JSON, each key once: " + error.args[0])
    if not isinstance(values, dict):
        raise ConfigError("line", "must be a JSON object")
    if "crc32" in values:
        raise ConfigError("crc32", "must come last, without white space")
    ders = [_credential(values, name) for name in _CREDENTIALS]
    names = ["%s-%s.der" % (n, _hash(der)) for n, der in zip(_CREDENTIALS, ders)]
    values.update(zip(_CREDENTIALS, names))
    identity, _ = _checked(values)
    if not _names(ders[1], identity["device_id"]):
        raise ConfigError("cert_der", "is another device's")
    if not _fits(ders[2], ders[1]):
        raise ConfigError("key_der", "is not of cert_der")
    if not loads(*ders):
        raise ConfigError("key_der", "one of ca_der, cert_der and key_der is damaged")
    return values, dict(zip(names, ders))


def complete(values, wifi):
    """What goes onto flash by the line's values: identity and settings, as bytes; `wifi` is (ssid,
    password or None), which counts where the line names no network, or None. Raises ConfigError.
    """
    if wifi and values.get("wifi_ssid") is None:
        values["wifi_ssid"], values["wifi_password"] = wifi
    identity, settings = _checked(values)
    return sealed(identity), encoded(settings)


def _checked(values):
    """The values of both files. Raises ConfigError."""
    identity, settings = config.split(values)
    config.settings(encoded(settings), config.identity(encoded(identity)))
    return identity, settings


def wifi_fault(ssid, password):
    """Which rule of the config a network's name and password (str, or None) break, or None."""
    return config.fault("wifi_ssid", ssid) or config.fault("wifi_password", password)


def _credential(values, name):
    """Take one credential out of the line's values: bytes."""
    field = name + "_der"
    if name in values:
        raise ConfigError(name, "is not for this line: " + field + " is")
    text = values.pop(field, None)
    if not isinstance(text, str) or not text:
        raise ConfigError(field, "is required, in base64")
    try:
        der = a2b_base64(text)
    except ValueError:
        der = b""
    # Both Pythons pass over what is no base64; only what is its own encoding came whole.
    if b2a_base64(der)[:-1] != text.encode():
        raise ConfigError(field, "must be base64")
    if not _is_der(der, _INTEGER if name == "key" else _SEQUENCE):
        raise ConfigError(field, "must be DER, all of it")
    return der


def _is_der(der, inner):
    """Whether it is one sequence from end to end, whose first member has the tag `inner`."""
    if len(der) < 4 or der[0] != _SEQUENCE:
        return False
    size, at = der[1], 2
    if size > 0x80:
        at += size & 0x7F
        size = int.from_bytes(der[2:at], "big")
    return at + size == len(der) and at < len(der) and der[at] == inner


def _names(cert, device_id):
    """Whether a certificate has that name. The issuer's is in it too, but is no device's."""
    name = device_id.encode()
    # UTF8String or PrintableString: whoever made the certificate chose.
    return any(_COMMON_NAME + bytes((tag, len(name))) + name in cert for tag in (0x0C, 0x13))


def _fits(key, cert):
    """Whether the certificate holds the key's public half, where that can be told: TLS takes any
    pair (MicroPython 1.25, measured).
    """
    at = key.find(_POINT)
    return at < 0 or key[at : at + 68] in cert


def _hash(der):
    return "".join(["%02x" % byte for byte in sha256(der).digest()[:4]])
