"""Provisioning: the CA, the broker's certificate, the operators' and the devices' identities and
configs.

What is there stays: a CA for ever, a device's key until --renew, and of its config all that is not
said anew. It will NOT put anything on a device, or take a password from the command line, where
every process could read it.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from cryptography import x509
from cyclopts import Parameter

from limpet.brokers import mosquitto_config
from limpet.identity import authority, operators, passwords
from limpet.identity.authority import Authority
from limpet.identity.layout import Layout
from limpet.shared import asked, private
from limpet.shared.firmware import config, errors, topics
from limpet.shared.numbers import Port
from limpet.shared.paths import DEV
from limpet.shared.problem import Problem

# Names under which a broker on this machine is reached.
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
PASSWORD_VARIABLE = "LIMPET_PASSWORD"  # noqa: S105 - the variable's name, not what is in it
WIFI_VARIABLE = "WIFI_PASSWORD"
FIRST_DEVICE = "node-1"
_DEFAULTS: dict[str, Any] = {
    "org": "limpet",
    "site": "home",
    "zone": "desk",
    "device_type": "climate",
    "broker": "127.0.0.1",
    "port": 8883,
}

_ANY = ("0.0.0.0", "::")  # to which no device can connect


class Setup:
    """The set-up in the directory `root`: opened, or begun. Everything that is missing is made.

    names: further host names and addresses of the broker, for its certificate.
    """

    def __init__(self, root: Path, names: Iterable[str] = ()) -> None:
        # Absolute: the paths go into mosquitto's configuration. (A link that leads to itself
        # is a RuntimeError for Path.resolve, and an OSError for who writes there.)
        self.layout = Layout(Path(os.path.realpath(private.folder(root))))
        self.authority = Authority.open(self.layout.ca)
        self.server_renewed = self._server(names)
        private.folder(self.layout.operators)
        for name in operators.NAMES:
            if not (self.layout.operators / f"{name}.key").exists():
                # The key last: where it is, the certificate is too.
                identity = self.authority.client(name)
                private.write(self.layout.operators / f"{name}.crt", identity.pem())
                private.write(self.layout.operators / f"{name}.key", identity.key_pem())
        self.acl_renewed = mosquitto_config.refresh(self.layout)

    def _server(self, names: Iterable[str]) -> bool:
        wanted = list(dict.fromkeys((*LOCAL_NAMES, *names)))
        key, certificate = self.layout.server_key, self.layout.server_certificate
        with self.layout.changing():
            if certificate.exists():
                old = authority.load(key, certificate)
                if authority.covers(old.certificate, wanted) and old.expires > datetime.now(UTC):
                    return False
                wanted += [name for name in authority.names(old.certificate) if name not in wanted]
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
                private.write(draft / "config.json", encoded(fields))
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

    def change(self, device_id: str, fields: dict[str, Any]) -> list[str]:
        """Put other `fields` into a device's config; return the names of those that are new.

        Raises config's ConfigError, or Problem, before anything is written.
        """
        path = self.layout.device(device_id) / "config.json"
        try:
            old: dict[str, Any] = dict(json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            raise Problem(f"{path} is no config any more.", "Correct it.") from None
        new = [name for name, value in fields.items() if old.get(name) != value]
        if new:
            checked = check(old | fields)
            self._register(checked)
            private.write(path, encoded(old | fields))
        return new

    def brokers(self, port: int) -> list[str]:
        """Return where the devices that look for their broker on `port`, or with a password on the
        next one, look for it.
        """
        found = []
        for device_id in self.layout.bases():
            with contextlib.suppress(errors.ConfigError):  # it finds no broker in any case
                found.append(self.config(device_id))
        logins = (port, mosquitto_config.login_port(port))
        return [
            each.broker
            for each in found
            if each.port == port or (each.username is not None and each.port in logins)
        ]

    def config(self, device_id: str) -> Any:
        """Return a device's checked config (a namedtuple); raises ConfigError."""
        path = self.layout.device(device_id) / "config.json"
        try:
            return config.load(str(path))
        except OSError:
            raise errors.ConfigError(str(path), "cannot be read") from None

    def _register(self, checked: Any) -> None:
        self.layout.register(checked.device_id, _base(checked))
        self.acl_renewed |= mosquitto_config.refresh(self.layout)

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


def provision(
    device: str | None = None,
    *,
    out: Path = DEV,
    org: str | None = None,
    site: str | None = None,
    zone: str | None = None,
    device_type: str | None = None,
    broker: str | None = None,
    port: Port | None = None,
    server_name: Annotated[list[str] | None, Parameter(negative=())] = None,
    username: str | None = None,
    password_file: Path | None = None,
    wifi_ssid: str | None = None,
    allow_public_broker: bool = False,
    renew: bool = False,
    line: bool = False,
    broker_config: Literal["mosquitto"] | None = None,
) -> int:
    """Make the CA if there is none, the broker's certificate, and a device's key, certificate and
    config.

    Of a device that is there already, what is said here is changed, and the rest stays.

    Parameters
    ----------
    device
        The device's id: its client id, its certificate's name, its place in every topic. Without
        it node-1, or for --broker-config the first one that is there.
    out
        Directory of the set-up. The device's flash image is `devices/<id>` in there.
    org
        First level of the device's topics, limpet at first.
    site
        Second level of its topics, home at first.
    zone
        Third level of its topics, desk at first.
    device_type
        Fourth level of its topics, climate at first; the device's id follows.
    broker
        Host name or address at which the device finds the broker; 127.0.0.1 at first, which is the
        device itself.
    port
        The broker's port, 8883 at first.
    server_name
        Further name or address of the broker, for its certificate. Can be repeated; the first is
        the one the device asks for.
    username
        Log in with username (the device's id) and password besides the certificate.
    password_file
        File with the password in its first line, with --username or for a device that has a login.
        Without it: the variable LIMPET_PASSWORD, or a prompt.
    wifi_ssid
        Network of the device. Its password is asked for, or the variable WIFI_PASSWORD has it; an
        empty one is for an open network.
    allow_public_broker
        Let the device publish to a broker that anybody can read.
    renew
        Give a device that is there already a new key and certificate.
    line
        Print the one line that a node without a config takes on its console. The key is in it.
    broker_config
        Also write a broker's configuration: mosquitto.conf and acl. It listens where the devices
        look for it.
    """
    if device is None:
        there = Layout(out).bases() if broker_config else {}
        device = next(iter(there), FIRST_DEVICE)
    place = {"org": org, "site": site, "zone": zone, "device_type": device_type}
    said: dict[str, Any] = place | {"broker": broker, "port": port}
    given = {name: value for name, value in said.items() if value is not None}
    if server_name:
        given["server_hostname"] = server_name[0]
    if allow_public_broker:
        given["allow_public_broker"] = True
    if password_file and username is None:
        username = _username(out, device)
    login = {} if username is None else _login(username, password_file)
    if wifi_ssid is not None:
        given |= _wifi(wifi_ssid)
    fields = _DEFAULTS | given
    try:
        check({"device_id": device} | fields | login)
        for name in server_name or ():
            if fault := config.fault("server_hostname", name):
                raise errors.ConfigError("server_name", fault)
        setup = Setup(out, [fields["broker"], *(server_name or ())])
        known = not setup.device({"device_id": device} | fields | login)
        changed = setup.change(device, given) if known else []
        if known and renew:
            setup.renew(device)
        if known and login:
            setup.set_login(device, login["password"])
    except errors.ConfigError as error:
        raise Problem(
            f"{error.field}: {error.text}.", "Nothing was changed; give another."
        ) from None
    with contextlib.redirect_stdout(sys.stderr if line else sys.stdout):
        _report(setup, device, known, renew)
        if known and login:
            print(f"{device}: username and password were set")
        if changed:
            print(f"{device}: its config has another {', '.join(changed)}")
        for variable, option, taken in (
            (PASSWORD_VARIABLE, "--username", login),
            (WIFI_VARIABLE, "--wifi-ssid", wifi_ssid),
        ):
            if variable in os.environ and taken in ({}, None):
                print(f"{device}: {variable} was not taken, which needs {option}")
        _without_wifi(setup, device)
        _mosquitto(setup, device, broker_config is not None, bool(login))
        if line:
            print(f"{device}: the line holds its key; whoever has the line is {device}")
    if line:
        _print_line(setup.layout.device(device))
    return 0


def _without_wifi(setup: Setup, device: str) -> None:
    """Say what a device lacks that may be meant for a Board with Wi-Fi."""
    with contextlib.suppress(errors.ConfigError):
        found = setup.config(device)
        if found.wifi_ssid is None and not config.is_loopback(found.broker):
            print(f"{device}: has no Wi-Fi, without which an ESP32 refuses it: --wifi-ssid NAME")


def _mosquitto(setup: Setup, device: str, wanted: bool, login: bool) -> None:
    """Write mosquitto's files where they are wanted; say what it has to read anew. login: whether a
    password was set.
    """
    layout = setup.layout
    renewed = {mosquitto_config.ACL: setup.acl_renewed, "server.crt": setup.server_renewed}
    with contextlib.suppress(errors.ConfigError):  # edited by hand: it has been told by now
        found = setup.config(device)
        if wanted:
            port = mosquitto_config.certificate_port(layout, found.port)
            host = mosquitto_config.where(setup.brokers(port))
            print(f"mosquitto    {mosquitto_config.write(layout, host, port)}")
            at = f"on {host}," if host else "on all addresses,"
            print(f"mosquitto listens {at} port {port}; start it anew")
            if layout.passwords.exists():
                logins = mosquitto_config.login_port(port)
                print(f"mosquitto asks for passwords on port {logins}")
        elif lacks := mosquitto_config.stale(layout, found.broker, found.port):
            out = "" if layout.root == DEV else f" --out {layout.root}"
            again = f"limpet provision {device} --broker-config mosquitto{out}"
            print(f"{layout.broker / mosquitto_config.CONF} {lacks}: {again}")
        else:
            renewed[layout.passwords.name] = login
        logins = mosquitto_config.login_port(found.port)
        if found.username and mosquitto_config.certificate_port(layout, logins) == found.port:
            print(f"{device}: mosquitto asks for its password on another port: --port {logins}")
    if not wanted and (layout.broker / mosquitto_config.CONF).exists():
        for name in filter(renewed.get, renewed):
            print(f"{layout.broker / name} has changed; have mosquitto read it (SIGHUP)")


def _print_line(folder: Path) -> None:
    from limpet.identity.provision_line import provision_line  # which needs what this module has

    sys.stdout.flush()
    sys.stdout.buffer.write(provision_line(folder))
    sys.stdout.buffer.flush()


def _login(username: str, password_file: Path | None) -> dict[str, str]:
    remedy = f"Set {PASSWORD_VARIABLE}, or give --password-file."
    password = asked.secret("password", PASSWORD_VARIABLE, password_file, remedy)
    return {"username": username, "password": password}


def _username(out: Path, device: str) -> str:
    """Return the name with which a device logs in already. Raises Problem where it does not."""
    found = None
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError):
        path = Layout(out).device(device) / "config.json"
        found = json.loads(path.read_bytes()).get("username")
    if not isinstance(found, str):
        raise Problem(
            f"--password-file is for a login, and {device} has none.",
            f"Say --username {device} as well.",
        )
    return found


def _wifi(ssid: str) -> dict[str, Any]:
    remedy = f"Set {WIFI_VARIABLE}, to nothing for an open network."
    password = asked.secret("password of the Wi-Fi", WIFI_VARIABLE, None, remedy)
    return {"wifi_ssid": ssid, "wifi_password": password or None}


def _report(setup: Setup, device: str, known: bool, renewed: bool) -> None:
    layout = setup.layout
    folder = layout.device(device)
    server = authority.load_certificate(layout.server_certificate)
    _line("CA", setup.authority.certificate, layout.ca)
    _line("broker", server, layout.broker)
    operator = layout.operators / f"{operators.FIRST}.crt"
    _line("operators", authority.load_certificate(operator), layout.operators)
    _line(device, authority.load_certificate(folder / "cert.der"), folder)
    if setup.server_renewed:
        print(f"broker: new certificate for {', '.join(authority.names(server))}")
    if known and not renewed:
        print(f"{device}: was there already, key and certificate stay; --renew makes them anew")
    elif known:
        print(f"{device}: new key and certificate")


def _line(name: str, certificate: x509.Certificate, where: Path) -> None:
    expires = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    print(f"{name:<12} {authority.key_type(certificate)}, expires {expires}  {where}")
