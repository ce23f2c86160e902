"""`limpet provision`: makes or changes a device, with all that it needs, and says what was done.

A password is never taken from the command line, where every process could read it.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from limpet.brokers import age
from limpet.brokers.setup import open_setup
from limpet.fleet import device_list, provision_many, provision_mosquitto, provision_report
from limpet.fleet.device_list import Count, Line, Number
from limpet.fleet.provision_many import Many
from limpet.fleet.report import Json, reported
from limpet.identity import device_config, fleet_settings, passwords
from limpet.identity.device_config import LABEL_RULE, check, too_long
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.identity.provision_line import provision_line
from limpet.identity.provisioning import FIRST_DEVICE, fields_of, with_fields
from limpet.shared import asked
from limpet.shared.asked import PASSWORD_VARIABLE, WIFI_VARIABLE
from limpet.shared.firmware import config, errors
from limpet.shared.numbers import Port
from limpet.shared.problem import Problem


def provision(
    device: str | None = None,
    *,
    csv: Path | None = None,
    pattern: str | None = None,
    count: Count | None = None,
    first: Number = 1,
    fleet: FleetOption = None,
    org: str | None = None,
    site: str | None = None,
    zone: str | None = None,
    device_type: str | None = None,
    broker: Annotated[list[str] | None, Parameter(negative=())] = None,
    port: Port | None = None,
    server_name: Annotated[list[str] | None, Parameter(negative=())] = None,
    auth: Literal["mtls", "password", "jwt"] | None = None,
    username: str | None = None,
    password_file: Path | None = None,
    wifi_ssid: str | None = None,
    allow_public_broker: Annotated[bool, Parameter(negative=())] = False,
    line: Annotated[bool, Parameter(negative=())] = False,
    as_json: Json = False,
) -> int:
    """Make a device of the fleet, or many: key, certificate and config, and what the broker has of
    each.

    What is not said here is as the fleet's limpet.toml has it. Of a device that is there already,
    what is said here is changed, and the rest stays. Of many, all are checked before one is made;
    after an interruption the same command goes on.

    Parameters
    ----------
    device
        The device's id: its client id, its certificate's name, its place in every topic. Without
        it node-1.
    csv
        Make a device of each line of this file. Its first line names the columns, by the fields of
        a device's config: device_id, and what else differs from one to the next.
    pattern
        Make --count devices called after it: 'plant-{n:04}' is plant-0001 and so on.
    count
        How many.
    first
        The first one's number.
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
        Can be repeated: it turns to the next one, HOST or HOST:PORT, where one cannot be had.
    port
        The broker's port.
    server_name
        Further name or address of the broker, for its certificate. Can be repeated; the first is
        the one the device asks for.
    auth
        How it proves who it is: mtls by its certificate alone, password by a password besides,
        which is made here. jwt: a node cannot make one yet [default: as it does; a new one: mtls].
    username
        Log in with username (the device's id) and a password of your own besides the certificate.
    password_file
        File with the password in its first line, with --username or for a device that has a login.
        Without it: the variable LIMPET_PASSWORD, or a prompt.
    wifi_ssid
        Network of the device. Its password is asked for, or the variable WIFI_PASSWORD has it; an
        empty one is for an open network.
    allow_public_broker
        Let the device publish to a broker that anybody can read.
    line
        Print the one line that a node without a config takes on its console. The key is in it.
    """
    if auth == "jwt":
        raise Problem(
            "--auth jwt: a node cannot make a JWT yet.", "Say mtls, or password. Nothing was made."
        )
    if line and as_json:
        raise Problem("--line prints the line alone.", "Leave out --json.")
    root = required(fleet).root
    settings = fleet_settings.read(root)
    place = {"org": org, "site": site, "zone": zone, "device_type": device_type}
    said: dict[str, Any] = place | {"port": port}
    given = {name: value for name, value in said.items() if value is not None}
    if broker:
        given |= {"broker": broker[0], "more_brokers": broker[1:] or None}
    if server_name:
        given["server_hostname"] = server_name[0]
    if allow_public_broker:
        given["allow_public_broker"] = True
    for name in (server_name or ())[1:]:
        fault = LABEL_RULE if too_long(name) else config.fault("server_hostname", name)
        if fault:
            raise Problem(f"server_name: {fault}.", "Nothing was changed; give another.")
    if csv or pattern is not None or count is not None:
        alone = {"DEVICE": device, "--username": username, "--password-file": password_file}
        _refuse_alone(alone | {"--line": line or None})
        lines = _lines(csv, pattern, count, first)
        if wifi_ssid is not None:
            given |= _wifi(wifi_ssid)
        names = server_name or ()
        many = Many(root, settings, given, names, auth)
        with reported(as_json) as report:
            report |= provision_many.provision(many, lines, str(csv or pattern))
        return 0
    device = FIRST_DEVICE if device is None else device
    if password_file and username is None:
        username = _username(root, device)
    if auth and username is not None:
        raise Problem(
            "--auth makes the password, or takes it away; --username gives one.", "Say one."
        )
    login: dict[str, Any] = {} if username is None else _login(username, password_file)
    if auth == "password" and not _logs_in(root, device):
        login = {"username": device, "password": passwords.generated()}
    if wifi_ssid is not None:
        given |= _wifi(wifi_ssid)
    fields = with_fields(settings.fields(), given)
    try:
        check({"device_id": device} | fields | login)
        names = [*settings.server_names(), *device_config.hosts(fields), *(server_name or ())]
        old = age.old_files(Layout(root))  # opening makes them anew
        setup = open_setup(root, names)
        known = not setup.device({"device_id": device} | fields | login)
        changed = setup.change(device, given) if known else []
        if known and login:
            setup.set_login(device, login["password"])
        dropped = known and auth == "mtls" and setup.drop_login(device)
    except errors.ConfigError as error:
        raise Problem(
            f"{error.field}: {error.text}.", "Nothing was changed; give another."
        ) from None
    with (
        contextlib.redirect_stdout(sys.stderr if line else sys.stdout),
        reported(as_json) as report,
    ):
        report |= provision_report.summary(setup, device)
        report |= {"made": not known, "changed": changed, "broker_renewed": setup.server_renewed}
        provision_report.certificates(setup, device, known)
        if known and login:
            print(f"{device}: username and password were set")
        if dropped:
            print(f"{device}: its certificate is enough, and it has no password any more")
        if changed:
            print(f"{device}: its config has another {', '.join(changed)}")
        for variable, option, taken in (
            (PASSWORD_VARIABLE, "--username", username),
            (WIFI_VARIABLE, "--wifi-ssid", wifi_ssid),
        ):
            if variable in os.environ and taken is None:
                print(f"{device}: {variable} was not taken, which needs {option}")
        provision_report.without_wifi(setup, device)
        age.tell_renewed(old)
        provision_mosquitto.update(setup, device, bool(login) or dropped)
        if line:
            print(f"{device}: the line holds its key; whoever has the line is {device}")
    if line:
        _print_line(setup.layout.device(device))
    return 0


def _refuse_alone(given: dict[str, Any]) -> None:
    """Raise Problem for an option that is about one device, where many are meant."""
    for name, value in given.items():
        if value is not None:
            raise Problem(f"{name} is for one device.", "Leave it out, or --csv and --pattern.")


def _lines(csv: Path | None, pattern: str | None, count: int | None, first: int) -> list[Line]:
    """Return the devices that are meant; raises Problem."""
    if csv and pattern is None and count is None:
        return device_list.of_file(csv)
    if csv or pattern is None or count is None:
        raise Problem(
            "Many devices are made by --csv FILE, or by --pattern and --count.",
            "Such as: limpet provision --pattern 'plant-{n:04}' --count 1000",
        )
    return device_list.of_pattern(pattern, count, first)


def _logs_in(root: Path, device: str) -> bool:
    """Whether a device has a password already, which then stays."""
    folder = Layout(root).device(device)
    return device_config.there(folder) and fields_of(folder).get("password") is not None


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
