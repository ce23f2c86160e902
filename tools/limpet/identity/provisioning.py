"""Provisioning: the CA, the broker's certificate, the operators' and the devices' identities and
configs.

What is there stays: a CA for ever, a device's key until it is renewed, and of its config all that
is not said anew.
"""

import contextlib
import os
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from limpet.identity import authority, device_config, operators, passwords
from limpet.identity.authority import Authority
from limpet.identity.device_config import check
from limpet.identity.layout import Layout
from limpet.shared import private
from limpet.shared.firmware import errors, topics
from limpet.shared.problem import Problem

# Names under which a broker on this machine is reached.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
FIRST_DEVICE = "node-1"

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

    server_renewed and rules_renewed: whether the broker's certificate, and a follower's file, was
    written anew.
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
        self.rules_renewed = False
        self._follow()

    def _operator(self, name: str) -> None:
        folder = self.layout.operator(name)
        if folder.exists():
            return
        identity = self.authority.client(name)
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
                    if authority.covers(old, wanted) and expires > datetime.now(UTC):
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
        folder = self.layout.device(checked.device_id)
        if folder.exists():
            return False
        # The registry first: a name in it without a certificate opens nothing, the reverse would be
        # stuck.
        self._register(checked)
        if checked.password is not None:
            passwords.set_password(self.layout, checked.device_id, checked.password)
        try:
            with private.new_folder(folder) as draft:
                self._identity(draft, checked.device_id)
                device_config.write(draft, fields)
        except FileExistsError:
            return False
        return True

    def renew(self, device_id: str) -> None:
        """Give a device a new key and certificate; all else in its folder stays."""
        self._identity(self.layout.device(device_id), device_id)

    def set_login(self, device_id: str, password: str) -> None:
        """Give a device a username (its id) and a password, for itself and for the broker."""
        self.change(device_id, {"username": device_id, "password": password})
        passwords.set_password(self.layout, device_id, password)

    def forget(self, device_id: str) -> bool:
        """Take a device out of all that a broker reads; whether it was there. Its folder stays."""
        known = self.layout.unregister(device_id)
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

    def _register(self, checked: Any) -> None:
        self.layout.register(checked.device_id, _base(checked))
        self._follow()

    def _follow(self) -> None:
        for follow in self._followers:
            self.rules_renewed |= follow(self.layout)

    def _identity(self, folder: Path, device_id: str) -> None:
        # Fixed names: the config in there is the node's to write.
        identity = self.authority.client(device_id)
        private.write(folder / "ca.der", self.authority.identity.der())
        private.write(folder / "cert.der", identity.der())
        private.write(folder / "key.der", identity.key_der())


def _base(checked: Any) -> str:
    base: str = topics.base(
        checked.org, checked.site, checked.zone, checked.device_type, checked.device_id
    )
    return base
