"""A device's config as the PC writes it: checked by the node's own rules, and as bytes.

No file is read or written.
"""

import json
from typing import Any

from limpet.identity import operators
from limpet.shared.firmware import config, errors

_ANY = ("0.0.0.0", "::")  # to which no device can connect


def check(fields: dict[str, Any]) -> Any:
    """Return the config (a namedtuple) that the node would take; else raises ConfigError."""
    checked = config.parse(json.dumps(fields, ensure_ascii=False))
    if operators.is_operator(checked.device_id):
        raise errors.ConfigError("device_id", "is a reserved name")
    if checked.broker in _ANY:
        raise errors.ConfigError("broker", "must be one address: this is where all are listened on")
    return checked


def encoded(fields: dict[str, Any]) -> bytes:
    """Return a config as the bytes of config.json.

    Not escaped: the node refuses half a character, which is how JSON escapes the rarer ones.
    """
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()
