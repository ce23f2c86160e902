"""Provisioning: the CA, the broker's certificate, the operators' and the devices' identities and
configs.

What is there stays: a CA for ever, a device's key until it is renewed, and of its config all that
is not said anew.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from limpet.identity import authority, device_config, operators, passwords, revocation
from limpet.identity.authority import Authority, Identity
from limpet.identity.device_config import check
from limpet.identity.layout import Layout
from limpet.identity.registry import Auth, Consumer, Device, Registry, Role, stamp
from limpet.shared import private
from limpet.shared.firmware import config, errors, topics
from limpet.shared.problem import Problem

# Names under which a broker on this machine is reached.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
FIRST_DEVICE = "node-1"
# Before its end, when the broker's certificate is made anew by whatever opens the set-up: in two
# months somebody provisions, renews or looks after the fleet.
SERVER_AHEAD = timedelta(days=60)

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
        self.authority = Authority.open(self.layout.ca)
        self.server_renewed = self._server(names)
        for name in operators.NAMES:
            self._operator(name)
        self._followers = tuple(followers)
        self.rules_renewed = self.crl_renewed = False
        self._follow()

    def _operator(self, name: str, identity: Identity | None = None) -> None:
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

    def renew(self, device_id: str) -> None:
        """Give a device a new key and certificate; all else in its folder stays. One that was
        revoked is let in again, with these alone.
        """
        identity = self.authority.client(device_id)
        with self.layout.edited() as registry:
            registry.issued(device_id, identity.serial, identity.expires)
        self._credentials(self.layout.device(device_id), identity)
        self._follow()

    def revoke(self, device_id: str) -> bool:
        """Have no broker let a device in any more, whichever of its certificates it shows; whether
        one did until now. All else of it stays. Raises Problem where the registry has no such one.
        """
        with self.layout.edited() as registry:
            if device_id not in registry.devices:
                raise Problem(f"{device_id} is not in the registry.", "See limpet fleet list.")
            was = registry.devices[device_id].revoked is None
            self._revoke(registry, device_id)
        self._follow()
        return was

    def add_consumer(self, name: str, role: Role) -> bool:
        """Make the identity of a program that is no device; False if it is there with this role.

        Raises Problem for a name that it cannot have.
        """
        if fault := config.fault("device_id", name):
            raise Problem(f"A consumer's name {fault}.", "Give another.")
        if operators.is_operator(name):
            raise Problem(f"{name} is an operator of every fleet.", "Give another name.")
        identity = self.authority.client(name)
        with self.layout.edited() as registry:
            if name in registry.devices:
                raise Problem(f"{name} is a device of this fleet.", "Give another name.")
            if known := registry.consumers.get(name):
                if known.role != role:
                    cause = f"{name} is there already, with the role {known.role}."
                    raise Problem(cause, f"Remove it first: limpet operator remove {name}")
                if self.layout.operator(name).exists():
                    return False
            else:
                # What lies there is of no consumer: its certificate counts for nobody.
                private.remove(self.layout.operator(name))
            registry.consumers[name] = known or Consumer(role, stamp())
            registry.issued(name, identity.serial, identity.expires)
        self._operator(name, identity)
        self._follow()
        return True

    def remove_consumer(self, name: str) -> None:
        """Take a consumer out of the fleet, its folder and its certificate with it. Raises Problem
        where there is none, and for the operators of every fleet.
        """
        if operators.is_operator(name):
            raise Problem(f"{name} is an operator of every fleet, and stays.", "Name another.")
        with self.layout.edited() as registry:
            if name not in registry.consumers:
                own = ", ".join(registry.consumers) or "none of its own"
                raise Problem(f"No consumer is called {name!r}.", f"There is: {own}.")
            registry.revoke(name)
            del registry.consumers[name]
        self._follow()
        private.remove(self.layout.operator(name))

    def set_login(self, device_id: str, password: str) -> None:
        """Give a device a username (its id) and a password, for itself and for the broker."""
        self.change(device_id, {"username": device_id, "password": password})
        with self.layout.edited() as registry:
            registry.devices[device_id] = replace(registry.devices[device_id], auth="password")
        passwords.set_password(self.layout, device_id, password)

    def forget(self, device_id: str) -> bool:
        """Take a device out of all that a broker reads, and revoke its certificates; whether it was
        there. Its folder stays.
        """
        with self.layout.edited() as registry:
            self._revoke(registry, device_id)
            known = registry.devices.pop(device_id, None) is not None
        self._follow()
        if self.layout.passwords.exists():
            known |= passwords.remove(self.layout, device_id)
        return known

    def change(self, device_id: str, fields: dict[str, Any]) -> list[str]:
        """Put other `fields` into a device's config; return the names of those that are new. A
        folder from before identity and settings were two files has two from here on.

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
            checked = check(old | fields)
            self._register(checked)
            device_config.write(folder, old | fields)
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
        with self.layout.edited() as registry:
            if name in registry.consumers:
                raise errors.ConfigError("device_id", "is a consumer's name")
            known = registry.devices.get(name)
            auth: Auth = "mtls" if checked.password is None else "password"
            known = known or Device("", stamp(), auth)
            registry.devices[name] = replace(known, base=_base(checked))
            if identity:
                registry.issued(name, identity.serial, identity.expires)
        self._follow()

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

    def _follow(self) -> None:
        self.crl_renewed |= revocation.refresh(self.layout, self.authority)
        for follow in self._followers:
            self.rules_renewed |= follow(self.layout)

    def _credentials(self, folder: Path, identity: Identity) -> None:
        # Fixed names: the config in there is the node's to write.
        private.write(folder / "ca.der", self.authority.identity.der())
        private.write(folder / "cert.der", identity.der())
        private.write(folder / "key.der", identity.key_der())


def _base(checked: Any) -> str:
    base: str = topics.base(
        checked.org, checked.site, checked.zone, checked.device_type, checked.device_id
    )
    return base
