"""Provisioning: the CA, the broker's certificate, the operators' and the devices' identities and
configs.

What is there stays: a CA for ever, a device's key until it is renewed, and of its config all that
is not said anew.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from limpet.identity import authority, device_config, operators, passwords, revocation
from limpet.identity.authority import Authority, Identity
from limpet.identity.device_config import check
from limpet.identity.layout import Layout
from limpet.identity.registry import Auth, Device, Registry, stamp
from limpet.shared import private
from limpet.shared.firmware import errors, topics
from limpet.shared.problem import Problem

# Names under which a broker on this machine is reached.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
FIRST_DEVICE = "node-1"
# Before its end, when the broker's certificate is made anew by whatever opens the set-up: in two
# months somebody provisions, renews or looks after the fleet.
SERVER_AHEAD = timedelta(days=60)

# What was being written this long ago is nobody's work any more, and may hold a key.
_DRAFT_S = 3600

# Brings a file that a broker has of the registry up to date; returns whether it was written.
Follower = Callable[[Layout], bool]


def fields_of(folder: Path) -> dict[str, Any]:
    """Return what the folder of a device says, unchecked; raises Problem where it says nothing."""
    try:
        return device_config.read(folder)
    except (OSError, errors.ConfigError) as error:
        path = device_config.where(folder, error)
        if isinstance(error, errors.ConfigError) and error.field == "v":
            later = "If a later Limpet has made it, use that one."
            raise Problem(f"{path}: v {error.text}.", later) from None
        raise Problem(f"{path} is no config any more.", "Correct it.") from None


class Setup:
    """The set-up in the directory `root`: opened, or begun. Everything that is missing is made.

    names: further host names and addresses of the broker, for its certificate.
    followers: called at once and after each change of the registry, as a broker whose files name
    fewer devices drops what the others say. brokers.setup.open_setup has all of them; only a set-up
    that no broker ever reads goes without.

    server_renewed, rules_renewed, crl_renewed: whether the broker's certificate, a follower's file,
    and the list of revoked certificates was written anew.
    """

    def __init__(
        self, root: Path, names: Iterable[str] = (), *, followers: Iterable[Follower]
    ) -> None:
        # Absolute: the paths go into a broker's configuration. (A link that leads to itself
        # is a RuntimeError for Path.resolve, and an OSError for who writes there.)
        self.layout = Layout(Path(os.path.realpath(private.folder(root))))
        for folder in (self.layout.broker, self.layout.devices, self.layout.operators):
            private.sweep(folder, _DRAFT_S)
        self.authority = Authority.open(self.layout.ca)
        self.server_renewed = self._server(names)
        for name in operators.NAMES:
            self.operator(name)
        self._followers = tuple(followers)
        self.rules_renewed = self.crl_renewed = False
        self._follow()

    def operator(self, name: str, identity: Identity | None = None) -> None:
        """Make the folder of an operator or another consumer, where there is none."""
        folder = self.layout.operator(name)
        if folder.exists():
            return
        identity = identity or self.authority.client(name)
        with contextlib.suppress(FileExistsError), private.new_folder(folder) as draft:
            private.write(draft / "ca.crt", self.authority.identity.pem())
            private.write(draft / f"{name}.crt", identity.pem())
            private.write(draft / f"{name}.key", identity.key_pem())

    def _server(self, names: Iterable[str]) -> bool:
        wanted = list(dict.fromkeys((*LOCAL_NAMES, *names)))
        key, certificate = self.layout.server_key, self.layout.server_certificate
        with self.layout.changing():
            if certificate.exists():
                old = authority.load_certificate(certificate)
                try:
                    expires = authority.load(key, certificate).expires
                    if authority.covers(old, wanted) and expires > datetime.now(UTC) + SERVER_AHEAD:
                        return False
                except authority.OtherKeyError:
                    pass  # a renewal that was cut between its two files: done once more
                wanted += [name for name in authority.names(old) if name not in wanted]
            made = self.authority.server(wanted)
            private.write(key, made.key_pem())
            private.write(certificate, made.pem())
        return True

    def device(self, fields: dict[str, Any]) -> bool:
        """Provision the device that the config `fields` describes; False if it is there, and left
        alone.

        Raises config's ConfigError(field, text) before anything is written.
        """
        checked = check(fields)
        device_id = checked.device_id
        folder = self.layout.device(device_id)
        if folder.exists():
            return False
        identity = self.authority.client(device_id)
        # The registry first: a name in it without a certificate opens nothing, the reverse would be
        # stuck.
        self._register(checked, identity)
        if checked.password is not None:
            passwords.set_password(self.layout, device_id, checked.password)
        try:
            with private.new_folder(folder) as draft:
                self._credentials(draft, identity)
                device_config.write(draft, fields)
        except FileExistsError:
            return False
        return True

    def renew(self, *names: str, told: Callable[[int], None] = lambda _: None) -> None:
        """Give devices new keys and certificates; all else in their folders stays. One that was
        revoked is let in again, with these alone. `told` is called with how many more are done.
        """
        made = {name: self.authority.client(name) for name in names}
        with self.changed() as registry:
            for name, identity in made.items():
                registry.issued(name, identity.serial, identity.expires)
        for name, identity in made.items():
            private.sweep(self.layout.device(name), _DRAFT_S)
            self._credentials(self.layout.device(name), identity)
            told(1)

    def revoke(self, *names: str) -> list[str]:
        """Have no broker let devices in any more, whichever of their certificates they show; return
        those that one did let in until now. All else of them stays. Raises Problem, with nothing
        changed, where the registry does not know one.
        """
        was = []
        with self.changed() as registry:
            for name in names:
                if name not in registry.devices:
                    raise Problem(f"{name} is not in the registry.", "See limpet fleet list.")
                if registry.devices[name].revoked is None:
                    was.append(name)
                self._revoke(registry, name)
        return was

    def set_login(self, device_id: str, password: str) -> None:
        """Give a device a username (its id) and a password, for itself and for the broker."""
        self.change(device_id, {"username": device_id, "password": password})
        with self.layout.edited() as registry:
            registry.devices[device_id] = replace(registry.devices[device_id], auth="password")
        passwords.set_password(self.layout, device_id, password)

    def drop_login(self, device_id: str) -> bool:
        """Take the username and the password of a device away, from itself and from the broker: its
        certificate is enough. Whether it had one.
        """
        changed = self.change(device_id, {"username": None, "password": None})
        with self.layout.edited() as registry:
            registry.devices[device_id] = replace(registry.devices[device_id], auth="mtls")
        return passwords.remove(self.layout, device_id) or bool(changed)

    def forget(self, device_id: str) -> bool:
        """Take a device out of all that a broker reads, and revoke its certificates; whether it was
        there. Its folder stays.
        """
        with self.changed() as registry:
            self._revoke(registry, device_id)
            known = registry.devices.pop(device_id, None) is not None
        known |= passwords.remove(self.layout, device_id)
        return known

    def change(self, device_id: str, fields: dict[str, Any]) -> list[str]:
        """Put other `fields` into a device's config, None for none; return the names of those that
        are new. A folder from before identity and settings were two files has two from here on.

        Raises config's ConfigError, or Problem, before anything is written.
        """
        folder = self.layout.device(device_id)
        old = fields_of(folder)
        if old.get("device_id") != device_id:
            # The registry would give the other one a place that it does not know of.
            path = device_config.where(folder)
            raise Problem(f"{path} is not that of {device_id}.", "Put it right, or its device_id.")
        new = [name for name, value in fields.items() if old.get(name) != value]
        if new:
            changed = with_fields(old, fields)
            self._register(check(changed))
            device_config.write(folder, changed)
        else:
            device_config.renewed(folder)
        return new

    def configs(self) -> list[Any]:
        """Return the checked config of each device, without those that a node would refuse."""
        found = []
        for device_id in self.layout.bases():
            with contextlib.suppress(errors.ConfigError):
                found.append(self.config(device_id))
        return found

    def config(self, device_id: str) -> Any:
        """Return a device's checked config (a namedtuple); raises ConfigError."""
        folder = self.layout.device(device_id)
        try:
            return device_config.load(folder)
        except OSError as error:
            path = device_config.where(folder, error)
            raise errors.ConfigError(str(path), "cannot be read") from None

    def _register(self, checked: Any, identity: Identity | None = None) -> None:
        """Enter a device or its new place, and a certificate that it is given."""
        name = checked.device_id
        with self.changed() as registry:
            if name in registry.consumers:
                raise errors.ConfigError("device_id", "is a consumer's name")
            known = registry.devices.get(name)
            auth: Auth = "mtls" if checked.password is None else "password"
            known = known or Device("", stamp(), auth)
            registry.devices[name] = replace(known, base=base_of(checked))
            if identity:
                registry.issued(name, identity.serial, identity.expires)

    def _revoke(self, registry: Registry, device_id: str) -> None:
        """Revoke what the registry knows of, and what the device's folder has: one from before
        certificates were noted has no other trace.
        """
        path = self.layout.device(device_id) / "cert.der"
        if device_id in registry.devices and path.is_file():
            # The node writes in there: only what the CA has made for this device is believed.
            with contextlib.suppress(Problem):
                found = authority.load_certificate(path)
                if authority.is_client(found, self.authority.certificate, device_id):
                    serial, until = f"{found.serial_number:x}", found.not_valid_after_utc
                    device = registry.devices[device_id]
                    noted = device.certificates | {serial: stamp(until)}
                    registry.devices[device_id] = replace(device, certificates=noted)
        registry.revoke(device_id)

    @contextlib.contextmanager
    def changed(self) -> Iterator[Registry]:
        """Yield the registry to be changed, once for all; what brokers have of it follows."""
        with self.layout.edited() as registry:
            yield registry
        self._follow()

    def _follow(self) -> None:
        self.crl_renewed |= revocation.refresh(self.layout, self.authority)
        for follow in self._followers:
            self.rules_renewed |= follow(self.layout)

    def _credentials(self, folder: Path, identity: Identity) -> None:
        # Fixed names: the config in there is the node's to write.
        for name, data in self.authority.credentials(identity).items():
            private.write(folder / name, data)


def with_fields(old: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """Return a device's fields with others; what is given as None is said no more."""
    gone = {name for name, value in given.items() if value is None}
    return {name: value for name, value in (old | given).items() if name not in gone}


def base_of(checked: Any) -> str:
    """Return the base topic of a device, by its checked config."""
    base: str = topics.base(
        checked.org, checked.site, checked.zone, checked.device_type, checked.device_id
    )
    return base
