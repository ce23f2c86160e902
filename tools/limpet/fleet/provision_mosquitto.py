"""A word at the end of `limpet provision`, where mosquitto's files, if there are some, do not fit
any more, or have to be read anew.
"""

import contextlib

from limpet.brokers import kinds, written
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto import renderer
from limpet.identity.fleet_folder import option
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import errors


def update(setup: Setup, device: str, login: bool) -> None:
    """Say what mosquitto has to read anew, and what to write anew for it. login: whether a password
    was set.
    """
    layout = setup.layout
    conf = layout.broker / mosquitto_files.CONF
    renewed = {
        mosquitto_files.ACL: setup.rules_renewed,
        layout.crl.name: setup.crl_renewed,
        layout.server_certificate.name: setup.server_renewed,
        layout.passwords.name: login,
    }
    with contextlib.suppress(errors.ConfigError):  # edited by hand: it has been told by now
        found = setup.config(device)
        before = written.record(layout, "mosquitto")
        chosen = before is not None and before.chosen
        if lacks := mosquitto_files.stale(layout, found.broker, found.port, chosen):
            everywhere = " --listen 0.0.0.0" if chosen and "listen" in lacks else ""
            again = f"limpet broker-config mosquitto{everywhere}{option(layout.root)}"
            print(f"{conf} {lacks}: {again}")
            renewed[layout.passwords.name] = False
        logins = renderer.login_port(found.port)
        if found.username and mosquitto_files.certificate_port(layout, logins) == found.port:
            print(f"{device}: mosquitto asks for its password on another port: --port {logins}")
    if conf.exists():
        for name in filter(renewed.get, renewed):
            print(f"{layout.broker / name} has changed; have mosquitto read it (restart it)")
    for each in written.records(layout):
        if setup.rules_renewed and each.kind != kinds.FIRST and not each.folder:
            print(
                f"{each.at(layout)} has changed: have {each.kind} {kinds.KINDS[each.kind].RELOAD}"
            )
