"""`limpet provision`: makes or changes a device, with all that it needs, and says what was done.

A password is never taken from the command line, where every process could read it.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.brokers import age
from limpet.brokers.setup import open_setup
from limpet.fleet import provision_mosquitto, provision_report
from limpet.identity import device_config, fleet_settings
from limpet.identity.device_config import check
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.identity.provision_line import provision_line
from limpet.identity.provisioning import FIRST_DEVICE, fields_of
from limpet.shared import asked
from limpet.shared.asked import PASSWORD_VARIABLE, WIFI_VARIABLE
from limpet.shared.firmware import config, errors
from limpet.shared.numbers import Port
from limpet.shared.problem import Problem


def provision(
    device: str | None = None,
    *,
    fleet: FleetOption = None,
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
) -> int:
    """Make a device of the fleet: its key, certificate and config, and what the broker has of it.

    What is not said here is as the fleet's limpet.toml has it. Of a device that is there already,
    what is said here is changed, and the rest stays.

    Parameters
    ----------
    device
        The device's id: its client id, its certificate's name, its place in every topic. Without
        it node-1.
    org
        First level of the device's topics [default: the fleet's organisation].
    site
        Second level of its topics.
    zone
        Third level of its topics.
    device_type
        Fourth level of its topics; the device's id follows.
    broker
        Host name or address at which the device finds the broker; 127.0.0.1 is the device itself.
    port
        The broker's port.
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
    """
    root = required(fleet).root
    settings = fleet_settings.read(root)
    device = device or FIRST_DEVICE
    place = {"org": org, "site": site, "zone": zone, "device_type": device_type}
    said: dict[str, Any] = place | {"broker": broker, "port": port}
    given = {name: value for name, value in said.items() if value is not None}
    if server_name:
        given["server_hostname"] = server_name[0]
    if allow_public_broker:
        given["allow_public_broker"] = True
    if password_file and username is None:
        username = _username(root, device)
    login = {} if username is None else _login(username, password_file)
    if wifi_ssid is not None:
        given |= _wifi(wifi_ssid)
    fields = settings.fields() | given
    try:
        check({"device_id": device} | fields | login)
        for name in server_name or ():
            if fault := config.fault("server_hostname", name):
                raise errors.ConfigError("server_name", fault)
        names = [*settings.server_names(), fields["broker"], *(server_name or ())]
        old = age.old_files(Layout(root))  # opening makes them anew
        setup = open_setup(root, names)
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
        provision_report.certificates(setup, device, known, renew)
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
        provision_report.without_wifi(setup, device)
        age.tell_renewed(old)
        provision_mosquitto.update(setup, device, bool(login))
        if line:
            print(f"{device}: the line holds its key; whoever has the line is {device}")
    if line:
        _print_line(setup.layout.device(device))
    return 0


def _print_line(folder: Path) -> None:
    sys.stdout.flush()
    sys.stdout.buffer.write(provision_line(folder))
    sys.stdout.buffer.flush()


def _login(username: str, password_file: Path | None) -> dict[str, str]:
    remedy = f"Set {PASSWORD_VARIABLE}, or give --password-file."
    password = asked.secret("password", PASSWORD_VARIABLE, password_file, remedy)
    return {"username": username, "password": password}


def _username(root: Path, device: str) -> str:
    """Return the name with which a device logs in already. Raises Problem where it does not."""
    folder = Layout(root).device(device)
    found = fields_of(folder).get("username") if device_config.there(folder) else None
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
