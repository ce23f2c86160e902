"""What the brokers of a fleet have to be told after its files have changed, as commands."""

from limpet.brokers import kinds, written
from limpet.identity.layout import running
from limpet.identity.provisioning import Setup


def tell(setup: Setup, name: str | None = None) -> None:
    """Say who has to read what anew, after a change of the registry. `name`: of who was locked out,
    and may be connected.
    """
    layout = setup.layout
    for each in written.records(layout):
        if each.folder:
            print(f"Write what is in {each.folder} anew: limpet broker-config --help")
        print(f"Have {each.kind} {kinds.KINDS[each.kind].RELOAD}")
        if name:
            print(
                f"An open session of {name} may say and hear nothing from then on. It ends with "
                "the broker: sudo systemctl restart limpet-broker"
            )
    if running(layout.root):
        ends = f" A session of {name} that is open ends." if name else ""
        print(f"The broker that runs goes by the new files within a second.{ends}")
