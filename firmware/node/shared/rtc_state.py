"""What one boot leaves to the next: a few values in RTC memory, which outlives every reset, but no
power cut, and wears nothing out.

    trial     True while the boot is young: found at the next boot, it has ended without a word
    why       the reason of a reset that the node chose, or of the watchdog's bite
    resets    how many in a row recovery has asked for (see recovery.py)
    attempts  the backoff's counts, so that a reset starts no storm
    left      of what the identity was with which another slot's code could not run (the same)
    refused   of what the config was that the node could not run by (see device/boots.py)
    payload   the longest payload (bytes) of a batch that has got through where longer ones did not

Only a CRC-32, a known name and the right type are believed, and what is there already is not
written again.
"""

import json
from binascii import crc32


def seal(body):
    """`body` (bytes) behind its CRC-32, 4 bytes, big-endian."""
    return crc32(body).to_bytes(4, "big") + body


def unseal(data):
    """What `seal` was given, or None: not sealed, damaged, or cut."""
    if not data or len(data) < 4 or crc32(data[4:]) != int.from_bytes(data[:4], "big"):
        return None
    return data[4:]


class RtcState:
    """Values by name. `data` is what the last boot left (bytes), `save(bytes)` keeps it."""

    def __init__(self, data, save):
        self._save = save
        self._values = {}
        try:
            found = json.loads(unseal(data) or b"{}")
        except ValueError:
            found = None
        types = {"trial": bool, "why": str, "resets": int, "attempts": dict}
        types["refused"] = types["left"] = types["payload"] = int
        if isinstance(found, dict):
            for name, value in found.items():
                if type(value) is types.get(name):
                    self._values[name] = value

    def get(self, name, default=None):
        """The value of `name`, or `default`."""
        return self._values.get(name, default)

    def put(self, name, value):
        """Keep `value`, of the type above; None keeps nothing under that name."""
        if self._values.get(name) == value:
            return
        if value is None:
            del self._values[name]
        else:
            self._values[name] = value
        self._save(seal(json.dumps(self._values).encode()))

    def take(self, name):
        """The value of `name`, or None; it is gone afterwards."""
        value = self.get(name)
        self.put(name, None)
        return value
