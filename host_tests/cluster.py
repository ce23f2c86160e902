"""`make cluster`: real nodes publish through a cluster of three brokers that lose one another.

In support/cluster/ are: in brokers.py the members and HAProxy, in run.py what is done to them, in
ledger.py the counting. A Reading is delivered when a consumer behind the cluster, whose session is
kept there, has got it. The exit code is 1 when one is lost.

It says nothing about speed: the members, the nodes and the consumer share one machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from limpet.brokers.setup import open_setup
from limpet.shared import in_use
from limpet.shared.problem import Problem
from limpet_bench import machine
from rich.console import Console
from support.asked import positive
from support.brokers.running import fields
from support.cluster.brokers import KINDS, MEMBERS, Cluster
from support.cluster.run import Run
from support.cluster.table import show
from support.fleets import fleet

SECONDS = 300
NODES = 20
# What a node's config names: HAProxy, or the members themselves.
WAYS = ("haproxy", "list")


def main() -> int:
    """Run it from the command line; returns 0 when nothing was lost."""
    in_use.hold()
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cluster", choices=KINDS, default=KINDS[0])
    parser.add_argument("--seconds", type=positive, default=SECONDS)
    parser.add_argument("--nodes", type=positive, default=NODES)
    parser.add_argument("--brokers", choices=WAYS, default=WAYS[0])
    asked = parser.parse_args()
    console = Console(width=88)
    try:
        with tempfile.TemporaryDirectory(prefix="limpet-cluster-") as folder:
            return run(console, Path(folder), asked)
    except KeyboardInterrupt:
        return 130
    except (Problem, RuntimeError, TimeoutError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        if isinstance(error, Problem):
            print(error.remedy, file=sys.stderr)
        return 1


def run(console: Console, folder: Path, asked: argparse.Namespace) -> int:
    """Start all that it takes in `folder`, run, and print; return the exit code."""
    kind, nodes, listed = asked.cluster, asked.nodes, asked.brokers == "list"
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)

    way = "as a list in each node" if listed else "behind HAProxy"
    console.print(f"{kind}, {MEMBERS} members {way}; {nodes} nodes", highlight=False)
    console.print(machine.described()[0], highlight=False)
    setup = open_setup(fleet(folder / "fleet"))
    for number in range(nodes):
        setup.device(fields(f"node-{number + 1}"))
    cluster = Cluster(setup, kind, folder / "cluster")
    try:
        say("the members are started")
        cluster.start()
        say("the nodes are started")
        with Run(cluster, folder, nodes, say) as made:
            made.listed = listed
            try:
                made.go(asked.seconds)
            except (KeyboardInterrupt, RuntimeError):
                console.print("Not ended. So far:")
                show(console, made, ended=False)
                raise
            return 0 if show(console, made) else 1
    finally:
        cluster.close()


if __name__ == "__main__":
    sys.exit(main())
