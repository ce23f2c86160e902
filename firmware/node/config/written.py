"""How the node writes what its config is made of; and the one way in which its settings change.

Imported when a Command changes something, and at a first boot.
"""

import json
from binascii import crc32

_EIO = 5  # the same on every port
_VERSION_MAX = 1_000_000_000  # as in config.py, which is no longer there


def change(settings, name, value, read, replace):
    """Put another value of `name` into the settings (see settings.py): into their file first, under
    the next version, then into the object; then its users are told. `read` and `replace` may raise
    OSError: nothing has changed. In no way it lies in the heap in a row.
    """
    version = settings.version % _VERSION_MAX + 1
    try:
        values = read(settings.path, _whole)
        values[name] = value
    except (ValueError, TypeError):  # it is gone, or no JSON object any more
        raise OSError(_EIO)
    values["version"] = version
    replace(settings.path, *lines(values))
    setattr(settings, name, value)
    settings.version = version
    for each in settings.users:
        each(settings)


def _whole(file):
    """The JSON object in a file, none of whose values is one. MicroPython takes half of it, too."""
    values = json.load(file)
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    if not file.read().rstrip().endswith(b"}"):
        raise ValueError
    return values


def encoded(values):
    """Values (dict) as the JSON of their file (bytes)."""
    return b"".join(lines(values))


def lines(values):
    """The same, a list of bytes."""
    found = []
    for name in sorted(values):
        line = '%s\n"%s": %s' % ("," if found else "{", name, json.dumps(values[name]))
        found.append(line.encode())
    found.append(b"\n}\n")
    return found


def sealed(values):
    """The values of an identity (dict) as its file (bytes), with the CRC-32 of all before it."""
    body = b"".join(lines(values)[:-1])
    return body + b',"crc32":"%08x"}' % crc32(body)
