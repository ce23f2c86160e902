"""What a person enters in Home Assistant, so that it finds the fleet."""

from __future__ import annotations

from limpet.homeassistant.entry import PREFIX
from limpet.identity.fleet_folder import option, quoted
from limpet.identity.layout import Layout
from limpet.operating.where import SetupInfo
from limpet.shared.firmware import rules
from limpet.shared.problem import Problem

ROLE = "home-assistant"
NAME = "hass"

_TEXT = """\
In Home Assistant: your profile, Advanced mode on. Then Settings, Devices & services, Add
integration, MQTT, "Manually enter the MQTT broker connection details":

    Broker                               {host}
    Port                                 {port}
    Username, Password                   nothing
    Advanced options                     on; then Submit
    Client ID                            {name}
    Use a client certificate             on
    Broker certificate validation        Custom
    Ignore broker certificate validation off
    MQTT protocol                        3.1.1 or 5; the embedded broker speaks 3.1.1; then Submit
    Upload custom CA certificate file    {folder}/ca.crt
    Upload client certificate file       {folder}/{name}.crt
    Upload private key file              {folder}/{name}.key

The key is a secret: bring it by a way that nobody reads, and leave no copy behind. The client ID
has to be {name}: a broker lets in one client of a name. What devices there are, `limpet
homeassistant` tells it.{more}"""

_PREFIX = """

Under Configure of the integration: Discovery prefix {prefix}, Birth message topic {prefix}/status.
The rules of `limpet broker-config` know the prefix {usual} alone: for another one they have to be
your own."""


_HERE = """

{host} is this machine alone, and in a container the container alone: elsewhere Home Assistant needs
a broker that listens on an address of the network, see docs/your-own-broker.md."""


def text(layout: Layout, prefix: str) -> str:
    """Return it. Raises Problem where Home Assistant has no identity yet."""
    named = [name for name, role in layout.consumers().items() if role == ROLE]
    here = [name for name in named if layout.operator(name).is_dir()]
    if not here:
        add = f"limpet operator add {NAME} --role {ROLE}{option(layout.root)}"
        raise Problem(
            "Home Assistant has no identity in this fleet.",
            f"Make it: {add}; then restart the broker.",
        )
    info = SetupInfo(layout.root)
    name = here[0]
    more = _HERE.format(host=info.host) if rules.is_loopback(info.host) else ""
    if prefix != PREFIX:
        more += _PREFIX.format(prefix=prefix, usual=PREFIX)
    return _TEXT.format(
        host=info.host, port=info.port, name=name, folder=quoted(layout.operator(name)), more=more
    )
