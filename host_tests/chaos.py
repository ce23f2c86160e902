"""`make chaos`: faults of all kinds, drawn at random, against a node that publishes over TLS.

In support/chaos/ are: in world.py the node, its broker and what is between them, in faults.py the
faults, in run.py their order, in books.py the counting. A Reading counts as delivered when the
broker has acknowledged it; besides, an operator that subscribes has to see it.

It proves nothing about speed: two proxies and a broker share the machine with the node.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from limpet.brokers.setup import open_setup
from limpet.shared import in_use
from limpet.shared.paths import CACHE, REPO
from rich.console import Console
from rich.progress import Progress
from support.asked import positive
from support.brokers.kinds import of_kind
from support.brokers.running import RunningBroker, fields
from support.chaos.faults import digest, draw
from support.chaos.run import Run, Stuck
from support.chaos.table import show
from support.chaos.world import SPEED, World


def broker_of(kind: str, folder: Path) -> RunningBroker:
    """Return a broker of that kind, with a set-up of its own in `folder`, not yet started."""
    setup = open_setup(folder / "dev")
    setup.device(fields("node-1"))
    return of_kind(kind, setup)


def main() -> int:
    """Run it from the command line; returns 0 when nothing was lost."""
    in_use.hold()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=positive, default=1000)
    parser.add_argument("--broker", choices=("amqtt", "mosquitto"), default="amqtt")
    parser.add_argument("--speed", type=positive, default=SPEED)
    asked = parser.parse_args()
    faults = draw(asked.seed, asked.faults)
    console = Console()
    console.print(
        f"{asked.faults} faults, seed {asked.seed}, hash {digest(faults)}; {asked.broker}, "
        f"the node's clock at {asked.speed:g}",
        highlight=False,
    )
    log = CACHE / "chaos" / f"{asked.broker}-{asked.seed}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    good = False
    with tempfile.TemporaryDirectory(prefix="chaos") as folder, open(log, "w") as file:
        broker = broker_of(asked.broker, Path(folder))
        broker.start()
        try:
            with World(broker, Path(folder), file, asked.speed) as world:
                run = Run(world)
                try:
                    with Progress(console=console) as progress:
                        task = progress.add_task("faults", total=len(faults))
                        run.go(faults, lambda count: progress.advance(task, count))
                    world.end()
                    good = True
                except Stuck as stuck:
                    console.print(f"STUCK: {stuck}", highlight=False)
                except KeyboardInterrupt:
                    console.print("Interrupted. So far:")
                    world.restore()
                    world.packets.restore()
                    world.end()
                good &= show(console, run)
        finally:
            broker.close()
    console.print(f"The node's log: {log.relative_to(REPO)}", highlight=False)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
