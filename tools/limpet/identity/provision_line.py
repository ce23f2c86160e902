"""The one line that a node without an identity takes on its console: config and credentials as
JSON.

It holds the device's key. Nothing here sends, stores or shows it but `limpet provision --line`,
which was asked for it.
"""

import json
from base64 import b64encode
from binascii import crc32
from pathlib import Path

from limpet.identity.device_folder import checked
from limpet.shared.firmware import errors, first_config
from limpet.shared.problem import Problem


def provision_line(folder: Path) -> bytes:
    """Return the line, with its newline, for the device in `folder`, as it is now.

    Raises Problem for a folder that no node would run by, and for one whose line no node takes.
    """
    found = checked(folder)
    files, values = found.files, dict(found.fields)
    for name in ("ca", "cert", "key"):
        file = values.pop(name, None)
        if file in files:
            values[f"{name}_der"] = b64encode(files[file]).decode()
    body = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()[:-1]
    line = body + b',"crc32":"%08x"}' % crc32(body)
    try:
        # TLS has no need to say more: `checked` has looked at the credentials.
        first_config.read(line, lambda *_: True)
    except errors.ConfigError as error:
        raise Problem(
            f"A node would refuse {folder} as a line: {error.field} {error.text}.",
            "Put it on the board as a file: limpet image.",
        ) from None
    return line + b"\n"
