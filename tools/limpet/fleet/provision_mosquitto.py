"""mosquitto's files at the end of `limpet provision`: written where they are asked for, and a word
where those that are there do not fit any more, or have to be read anew.
"""

import contextlib

from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto import renderer
from limpet.identity.fleet_folder import option
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import errors


def update(setup: Setup, device: str, wanted: bool, login: bool) -> None:
    """Write mosquitto's files where they are wanted; say what it has to read anew. login: whether a
    password was set.
    """
    layout = setup.layout
    renewed = {mosquitto_files.ACL: setup.rules_renewed, "server.crt": setup.server_renewed}
    with contextlib.suppress(errors.ConfigError):  # edited by hand: it has been told by now
        found = setup.config(device)
        if wanted:
            port = mosquitto_files.certificate_port(layout, found.port)
            host = renderer.where(setup.configs(), port)
            print(f"mosquitto    {mosquitto_files.write(layout, host, port)}")
            at = f"on {host}," if host else "on all addresses,"
            print(f"mosquitto listens {at} port {port}; start it anew")
            if layout.passwords.exists():
                logins = renderer.login_port(port)
                print(f"mosquitto asks for passwords on port {logins}")
        elif lacks := mosquitto_files.stale(layout, found.broker, found.port):
            again = f"limpet provision {device} --broker-config mosquitto{option(layout.root)}"
            print(f"{layout.broker / mosquitto_files.CONF} {lacks}: {again}")
        else:
            renewed[layout.passwords.name] = login
        logins = renderer.login_port(found.port)
        if found.username and mosquitto_files.certificate_port(layout, logins) == found.port:
            print(f"{device}: mosquitto asks for its password on another port: --port {logins}")
    if not wanted and (layout.broker / mosquitto_files.CONF).exists():
        for name in filter(renewed.get, renewed):
            print(f"{layout.broker / name} has changed; have mosquitto read it (SIGHUP)")
