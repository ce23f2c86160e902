"""What the brokers of a fleet have to be told after its files have changed, as commands."""

from limpet.brokers import age, kinds, written
from limpet.identity.layout import running
from limpet.identity.provisioning import Setup


def tell(setup: Setup, name: str | None = None) -> list[str]:
    """Say who has to read what anew, after a change of the registry, and return that. `name`: of
    who was locked out, and may be connected.
    """
    layout, runs = setup.layout, running(setup.layout.root) is not None
    own = [each.kind for each in written.records(layout) if not each.folder]
    # `limpet broker` is mosquitto itself, with files of its own, which it follows.
    own = [kind for kind in own if not (runs and kind == kinds.FIRST)]
    steps = [f"Have {kind} {kinds.KINDS[kind].RELOAD}." for kind in own]
    if runs:
        ends = f" A session of {name} that is open ends." if name else ""
        steps.append(f"The broker that runs goes by the new files within a second.{ends}")
        if setup.server_renewed:
            steps.append(
                "Its new certificate it shows from its next start on: restart `limpet broker`."
            )
    for step in steps:
        print(step)
    age.tell(layout)  # of files that were written elsewhere, and do not follow by themselves
    return steps
