"""What a fleet's `limpet.toml` says: its organisation, its broker, and how a new device begins.

A fault names the file, the line and the rule. A secret is refused: the file may be in git.
"""

import json
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from limpet.identity.device_config import FIELDS, LABEL_RULE, check, too_long
from limpet.identity.fleet_folder import MARK
from limpet.shared.firmware import config, errors, more_brokers
from limpet.shared.problem import Problem

LOOPBACK = "127.0.0.1"
# How a device begins of which nothing was said.
PLACE = {"site": "home", "zone": "desk", "device_type": "climate"}
# Of a config's fields these are no default of many devices: who it is, or a secret.
OWN = {"device_id", "ca", "cert", "key", "username", "password", "wifi_ssid", "wifi_password"}
# And these have names of their own: path in the file, and field of the config.
_BROKER = {"address": "broker", "port": "port", "more": "more_brokers"}
_FIELDS = {"organisation": "org"} | {f"broker.{key}": name for key, name in _BROKER.items()}


@dataclass(frozen=True)
class Settings:
    """What a fleet's devices have in common. `address` and `port` are where a new device looks for
    the broker, `more` where it turns to then, `names` more hosts and addresses for the broker's
    certificate, `device` fields of its config.
    """

    organisation: str = "limpet"
    address: str = LOOPBACK
    port: int = 8883
    more: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    device: dict[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """Return what a new device's config begins with."""
        broker: dict[str, Any] = {"broker": self.address, "port": self.port}
        if self.more:
            broker["more_brokers"] = list(self.more)
        return {"org": self.organisation} | PLACE | broker | self.device

    def server_names(self) -> list[str]:
        """Return all that the broker's certificate has to be good for."""
        own = self.device.get("server_hostname")
        more = [host for host, _ in more_brokers.split(self.more, self.port)]
        return [self.address, *more, *self.names, *([own] if own else [])]


def read(root: Path) -> Settings:
    """Return what the limpet.toml of the fleet `root` says; raises Problem."""
    path = root / MARK
    try:
        text = path.read_bytes().decode("utf-8-sig")
        said = tomllib.loads(text)
    except UnicodeDecodeError:
        raise Problem(f"{path} is not UTF-8.", "Write it anew in UTF-8.") from None
    except ValueError as error:  # TOMLDecodeError, and a number of too many digits
        raise Problem(f"{path} is no TOML: {error}.", "Correct that line.") from None
    except RecursionError:
        raise Problem(f"{path} is no TOML: nested too deep.", "Correct it.") from None
    return _Reader(path, text).settings(said)


def faults(settings: Settings) -> tuple[str, str] | None:
    """Return the first field that no device would take, by its path in the file, and the rule that
    it breaks; None: all is good.
    """
    for key, value in _flat(settings).items():
        name = _FIELDS.get(key, key.removeprefix("device."))
        if fault := config.fault(name, value):
            return key, fault
    for name in settings.names:
        if fault := config.fault("server_hostname", name):
            return "broker.names", f"each {fault}"
        if too_long(name):
            return "broker.names", f"each {LABEL_RULE}"
    try:
        check({"device_id": "node-1"} | settings.fields())
    except errors.ConfigError as error:
        keys = {name: key for key, name in _FIELDS.items()}
        return keys.get(error.field, f"device.{error.field}"), error.text
    return None


def _flat(settings: Settings) -> dict[str, Any]:
    own: dict[str, Any] = {"organisation": settings.organisation}
    own |= {"broker.address": settings.address, "broker.port": settings.port}
    if settings.more:
        own["broker.more"] = list(settings.more)
    return own | {f"device.{name}": value for name, value in settings.device.items()}


class _Reader:
    """Turns what a file says into Settings, or into a Problem with its line."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()

    def settings(self, said: dict[str, Any]) -> Settings:
        """Return the Settings; raises Problem for a key that is unknown or a value that is none."""
        self._known("", said, {"organisation", "broker", "device"})
        broker = self._table("broker", said)
        self._known("broker", broker, {*_BROKER, "names"})
        device = self._table("device", said)
        for name in OWN & device.keys():
            self._refuse(f"device.{name}", "is each device's own: no default, and not in this file")
        self._known("device", device, set(FIELDS) - set(_FIELDS.values()))
        names, more = (self._list(each, broker) for each in ("names", "more"))
        organisation = {key: said[key] for key in ("organisation",) if key in said}
        made = Settings(**organisation, **broker, more=more, names=names, device=device)
        if found := faults(made):
            self._refuse(*found)
        return made

    def _table(self, name: str, said: dict[str, Any]) -> dict[str, Any]:
        value = said.get(name, {})
        if not isinstance(value, dict):
            self._refuse(name, f"must be a table: [{name}]")
        return dict(value)

    def _list(self, name: str, broker: dict[str, Any]) -> tuple[Any, ...]:
        value = broker.pop(name, [])
        if not isinstance(value, list):
            self._refuse(f"broker.{name}", "must be a list")
        return tuple(value)

    def _known(self, table: str, said: dict[str, Any], names: set[str]) -> None:
        for key in said:
            if key not in names:
                self._refuse(f"{table}.{key}" if table else key, "unknown key")

    def _refuse(self, key: str, rule: str) -> NoReturn:
        line = self._line(key)
        at = f", line {line}" if line else ""
        name = key.rpartition(".")[2]
        if not name.isprintable():  # what a terminal would obey
            name = ascii(name)
        raise Problem(f"{self._path}{at}: {name}: {rule}.", "Correct it; nothing was changed.")

    def _line(self, key: str) -> int | None:
        """The line that says `key`; None where it is said in a way that is not known here."""
        now = ""
        for number, line in enumerate(self._lines, 1):
            said = ""
            if header := re.match(r"\s*\[+\s*[\"']?([^]\"']+?)[\"']?\s*\]", line):
                said = now = header[1]
            elif match := re.match(r"\s*[\"']?([^\s=\"']+)[\"']?\s*=", line):
                said = f"{now}.{match[1]}".removeprefix(".")
            if said == key:
                return number
        return None


def text(settings: Settings) -> str:
    """Return a limpet.toml that says `settings`, with a line for what else could be said."""
    more = "".join(f"{name} = {_toml(value)}\n" for name, value in settings.device.items())
    for name, value in PLACE.items():
        if name not in settings.device:
            more += f"{name} = {_toml(value)}\n"
    return _TEXT.format(
        organisation=_toml(settings.organisation),
        address=_toml(settings.address),
        port=settings.port,
        more=_toml(list(settings.more)),
        names=_toml(list(settings.names)),
        device=more,
    )


def _toml(value: Any) -> str:
    # What is said here has no control characters; the rest is the same in JSON and TOML.
    return json.dumps(value, ensure_ascii=False)


_TEXT = """\
# A fleet of Limpet nodes: the devices, keys and broker that belong together lie in this folder.
# What is said here is how a new device begins. One that is there has its own config, in
# devices/ID; `limpet provision ID --zone shed` changes it.
# No secret belongs into this file: it may be committed to git. Passwords are asked for.

# The first level of all topics: organisation/site/zone/device-type/device-id/...
organisation = {organisation}

[broker]
# Where devices find it: the address of its machine in their network. 127.0.0.1 is the device
# itself, which is right for a node on this PC alone.
address = {address}
# For certificates alone. With mosquitto, devices that have a password as well use the next one.
port = {port}
# Brokers to turn to where that one cannot be had, in this order: "two.example", or
# "two.example:8884" where the port is another. Three at most.
more = {more}
# More names and addresses under which it is reached; its certificate is made for them, too.
names = {names}

[device]
{device}# And any other field of a device's config, such as:
#interval_s = 10
#ntp_servers = ["192.168.1.1"]
"""
