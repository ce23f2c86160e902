"""What the brokers of a fleet have to be told after its files have changed, as commands."""

from limpet.brokers import age, kinds, written
from limpet.identity.layout import running
from limpet.identity.provisioning import Setup


def tell(setup: Setup, name: str | None = None) -> None:
    """Say who has to read what anew, after a change of the registry. `name`: of who was locked out,
    and may be connected.
    """
    layout = setup.layout
    own = [each.kind for each in written.records(layout) if not each.folder]
    for kind in own:
        print(f"Have {kind} {kinds.KINDS[kind].RELOAD}.")
    age.tell(layout)  # of files that were written elsewhere, and do not follow by themselves
    if running(layout.root):
        ends = f" A session of {name} that is open ends." if name else ""
        print(f"The broker that runs goes by the new files within a second.{ends}")
        if setup.server_renewed:
            print("Its new certificate it shows from its next start on: restart `limpet broker`.")
