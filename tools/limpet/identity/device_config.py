"""A device's config as the PC has it: the fields of both files in one dict, checked by the node's
own rules, read from its folder and written there.

A folder that was made before identity and settings were two files has a config.json; it is read
like them, and becomes them when it is written.
"""

import contextlib
import json
from binascii import crc32
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from limpet.identity import operators
from limpet.shared import private
from limpet.shared.firmware import config, errors, more_brokers, settings, strictjson

IDENTITY, SETTINGS = config.IDENTITY_FILE, config.SETTINGS_FILE
# The second copy, which a node makes for itself.
SPARE = settings.SPARE
# What both were before.
OLD = "config.json"

# What belongs to the files themselves: no field of a device.
_FORMAT = ("v", "version")
FIELDS = [key[0] for key in config.IDENTITY + config.SETTINGS if key[0] not in _FORMAT]
Config: Any = namedtuple("Config", FIELDS)  # type: ignore[misc]
_LABEL_MAX = 63
LABEL_RULE = f"must have at most {_LABEL_MAX} characters between two dots"
_ANY = ("0.0.0.0", "::")  # to which no device can connect


def check(fields: dict[str, Any]) -> Any:
    """Return the config (a namedtuple) that the node would take; else raises ConfigError."""
    checked = parsed(fields)
    if operators.is_operator(checked.device_id):
        raise errors.ConfigError("device_id", "is a reserved name")
    if too_long(checked.server_hostname or ""):
        raise errors.ConfigError("server_hostname", LABEL_RULE)
    seen: set[tuple[str, int]] = set()
    for host, port in brokers(checked):
        name = "more_brokers" if seen else "broker"
        if too_long(host):
            raise errors.ConfigError(name, LABEL_RULE)
        if host in _ANY:
            raise errors.ConfigError(name, "must be one address: this is where all are listened on")
        if (host.lower(), port) in seen:
            raise errors.ConfigError(name, "must not name one twice, nor the first one")
        seen.add((host.lower(), port))
    return checked


def brokers(found: Any) -> list[tuple[str, int]]:
    """Return where a device with that config (a namedtuple) looks for a broker, in its order."""
    more: list[tuple[str, int]] = more_brokers.split(found.more_brokers or (), found.port)
    return [(found.broker, found.port), *more]


def hosts(fields: dict[str, Any]) -> list[str]:
    """Return those hosts, of fields that `check` has taken."""
    more = more_brokers.split(fields.get("more_brokers") or (), 0)
    return [fields["broker"], *(host for host, _ in more)]


def too_long(host: str) -> bool:
    """Whether a part of a host name, between dots, is longer than any that can be looked up (RFC
    1035 section 2.3.4). The node leaves that to its resolver.
    """
    return any(len(label) > _LABEL_MAX for label in host.split("."))


def parsed(fields: dict[str, Any]) -> Any:
    """Return the same of any node's fields, whoever it is. Raises ConfigError."""
    identity, own = (json.dumps(each, ensure_ascii=False) for each in config.split(fields))
    found = config.identity(identity)
    found |= config.settings(own, found)
    return Config(*[found[name] for name in FIELDS])


def encoded(values: dict[str, Any]) -> bytes:
    """Return the values of one file as its bytes.

    Not escaped: the node refuses half a character, which is how JSON escapes the rarer ones.
    """
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def settings_file(fields: dict[str, Any], version: int = 1) -> bytes:
    """Return those of the fields that are settings as their file, with that version."""
    return encoded(config.split(fields)[1] | {"version": version})


def files(fields: dict[str, Any]) -> dict[str, bytes]:
    """Return both files of a device that is new, by name."""
    return {IDENTITY: encoded(config.split(fields)[0]), SETTINGS: settings_file(fields)}


def on_flash(fields: dict[str, Any], slot: str = "a", version: int = 1) -> dict[str, bytes]:
    """Return what a board has of it, by path: its identity, twice, and a slot's settings."""
    copy = sealed(config.split(fields)[0])
    path = f"{slot}/{SETTINGS}" if slot else SETTINGS
    return {IDENTITY: copy, SPARE: copy, path: settings_file(fields, version)}


def sealed(identity: dict[str, Any]) -> bytes:
    """Return the values of an identity as a board has them: with the CRC-32 of all before it."""
    body = json.dumps(identity, indent=2, ensure_ascii=False).encode().removesuffix(b"\n}")
    return body + b',"crc32":"%08x"}' % crc32(body)


def opened(data: bytes | None) -> dict[str, Any] | None:
    """Return the values of a file, sealed or not, of a board or a folder; None if it is none."""
    try:
        values = json.loads(settings.unseal(data or b"") or b"")
        json.dumps(values, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None


def there(folder: Path) -> bool:
    """Whether the folder has a device's config, of today or from before."""
    return any((folder / name).is_file() for name in (IDENTITY, OLD))


def where(folder: Path, error: Exception | None = None) -> Path:
    """Return the file that says who the device is; of an `error` that `read` or `load` has raised
    the file that it is about.
    """
    about = getattr(error, "filename", None)
    if about is not None:
        return Path(about)
    old = folder / OLD
    return old if old.is_file() and not (folder / IDENTITY).exists() else folder / IDENTITY


def read(folder: Path) -> dict[str, Any]:
    """Return all fields that the folder of a device has, unchecked. Raises OSError, and ConfigError
    where a file is no JSON object, or of a format that only a later Limpet knows.
    """
    names = [OLD] if where(folder).name == OLD else [IDENTITY, SETTINGS]
    found: dict[str, Any] = {}
    for name in names:
        with _about(folder / name):
            values = opened(private.read(folder / name))
            if values is None:
                raise errors.ConfigError(name, "must be a JSON object")
            if name != OLD and "v" in values:
                _known(values["v"])
        found |= values
    return {name: each for name, each in found.items() if name not in _FORMAT}


def load(folder: Path) -> Any:
    """Return the config in a folder, checked as the node does. Raises OSError, ConfigError."""
    if where(folder).name == OLD:
        return parsed(_strictly(private.read(folder / OLD)))
    with _about(folder / IDENTITY):
        text = settings.unseal(private.read(folder / IDENTITY))
        if text is None:
            raise errors.ConfigError(IDENTITY, "is damaged")
        found = config.identity(text)
    with _about(folder / SETTINGS):
        found |= config.settings(private.read(folder / SETTINGS), found)
    return Config(*[found[name] for name in FIELDS])


@contextlib.contextmanager
def _about(path: Path) -> Iterator[None]:
    """Have a ConfigError say which file it is about, as an OSError does."""
    try:
        yield
    except errors.ConfigError as error:
        vars(error)["filename"] = str(path)
        raise


def _known(number: Any) -> None:
    """See that the format of a file is one that is known here: the rest of it may mean anything."""
    rule = config.fault("v", number)
    if rule:
        raise errors.ConfigError("v", rule)


def _strictly(data: bytes) -> dict[str, Any]:
    """The values of a config.json, each key once."""
    try:
        values = strictjson.Shape(data, len(data), config.STRUCTURAL_MAX).load()
    except ValueError as error:
        rule = f"must be JSON, each key once: {error.args[0]}"
        raise errors.ConfigError("config", rule) from None
    if not isinstance(values, dict):
        raise errors.ConfigError("config", "must be a JSON object")
    return values


def version(folder: Path) -> int:
    """Return the version of the settings in a folder; 1 where there is none."""
    found = opened((folder / SETTINGS).read_bytes()) if (folder / SETTINGS).is_file() else None
    count = (found or {}).get("version", 1)
    return count if type(count) is int else 1


def renewed(folder: Path) -> None:
    """Make the two files of a folder out of its config.json, if that is what it has. One that is
    none is left as it is.
    """
    if where(folder).name == OLD:
        with contextlib.suppress(OSError, errors.ConfigError):
            write(folder, read(folder))


def write(folder: Path, fields: dict[str, Any]) -> None:
    """Make `fields` what the folder has; other settings count on. A cut leaves the old or the new
    identity, and the old or the new settings.
    """
    if (folder / IDENTITY).exists():
        # Before the identity: beside a second copy a node takes this one for damaged.
        (folder / SPARE).unlink(missing_ok=True)
    own, path = config.split(fields)[1], folder / SETTINGS
    before = opened(path.read_bytes()) if path.is_file() else None
    count = version(folder)
    if before is None or before | {"version": 1} != own:
        if before is not None:
            count = count % config.VERSION_MAX + 1
        private.write(path, settings_file(fields, count))
    private.write(folder / IDENTITY, encoded(config.split(fields)[0]))
    for name in (SPARE, OLD):
        (folder / name).unlink(missing_ok=True)
