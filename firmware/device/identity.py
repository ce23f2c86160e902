"""Who the node is to the broker, and whom it trusts: certificate, key and CA, as bytes from flash.

It never prints one; TLS looks into it, and names what is wrong.
"""

from collections import namedtuple

from micropython import const
from node.shared.errors import ConfigError
from tls_context import tls_context

from device.flash import read

Identity = namedtuple("Identity", "ca cert key")

_SEQUENCE = const(0x30)  # DER certificates and keys begin with this tag; PEM with a dash


def load(ca, cert, key):
    """Read the three files; a path that is None gives None.

    Raises ConfigError with the field's name for a file that is missing, or that is not DER: unix
    builds of MicroPython up to 1.28 take nothing else.
    """
    return Identity(_der("ca", ca), _der("cert", cert), _der("key", key))


def _der(field, path):
    if path is None:
        return None
    data = read(path)
    if data is None:
        raise ConfigError(field, "there is no file " + path)
    if not data or data[0] != _SEQUENCE:
        raise ConfigError(field, path + " is not DER")
    return data


def tls(ca, cert, key):
    """The TLS context of the three files, or None without a CA: plain TCP.

    The config allows that to loopback only. Raises ConfigError as `load` does, and for a file that
    TLS cannot use."""
    files = load(ca, cert, key)
    if files.ca is None:
        return None
    try:
        return tls_context(*files)
    except ValueError:
        raise ConfigError("key", "one of ca, cert and key is damaged")
