"""What the brokers of a fleet have to be told after its files have changed, as commands."""

from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.identity.layout import running
from limpet.identity.provisioning import Setup


def tell(setup: Setup, name: str | None = None) -> None:
    """Say who has to read what anew, after a change of the registry. `name`: of who was locked out,
    and may be connected.
    """
    layout = setup.layout
    if (layout.broker / mosquitto_files.CONF).exists():
        print(
            "Have mosquitto read its files anew: systemctl reload mosquitto (where systemd has not "
            "started it: pkill -HUP -x mosquitto)"
        )
        if name:
            print(
                f"An open session of {name} may say and hear nothing from then on. To end it: "
                "systemctl restart mosquitto"
            )
    if running(layout.root):
        ends = f" A session of {name} that is open ends." if name else ""
        print(f"The broker that runs goes by the new files within a second.{ends}")
