"""One run of the bench: figure by figure, with progress, and the report at its end."""

from __future__ import annotations

import time

from limpet.brokers.mosquitto.program import mosquitto
from limpet.node_host.interpreter import micropython
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from rich.console import Console

from limpet_bench import (
    backlog,
    boot,
    clients,
    garbage,
    heap,
    instructions,
    least_heap,
    machine,
    profile,
    rates,
    reconnect,
    report,
    sizes,
    storm,
    upstream,
)
from limpet_bench.figure import Figure, Row
from limpet_bench.kept import Kept
from limpet_bench.tree import Tree, Unmeasured, commit
from limpet_bench.world import World, world

FIGURES = (
    rates.CLIENT_RATE,
    rates.NODE_RATE,
    rates.FAR,
    backlog.FIGURE,
    upstream.FIGURE,
    heap.FIGURE,
    garbage.FIGURE,
    least_heap.FIGURE,
    sizes.FIGURE,
    instructions.FIGURE,
    profile.FIGURE,
    boot.FIGURE,
    reconnect.FIGURE,
    storm.FIGURE,
    clients.RATES,
    clients.LINE,
    clients.HEAP,
)
PAGE = REPO / "docs" / "benchmarks.md"


def measure(only: list[str], against: str | None) -> int:
    """Take the figures named in `only`, or all of them and write the page. Returns exit code."""
    known = {figure.name: figure for figure in FIGURES}
    for name in only:
        if name not in known:
            raise Problem(f"There is no figure {name}.", f"There are: {', '.join(known)}.")
    micropython()
    mosquitto()  # whatever has to be fetched is fetched before the clock runs
    here, earlier = Tree(), commit(against) if against else None
    kept = Kept(here, *([earlier] if earlier else []))
    taken = []
    out, console = Console(highlight=False, soft_wrap=True), Console(stderr=True)
    began = time.monotonic()
    try:
        with world() as made:
            for figure in [known[name] for name in only] or FIGURES:
                with console.status(f"{figure.name}: {figure.title}"):
                    each = _taken(made, figure, here, earlier, None if only else kept)
                taken.append(each)
                out.print("\n".join(report.lines(each, against)), markup=False)
    except KeyboardInterrupt:
        print("\nbroken off; the next run goes on from here" if not only else "\nbroken off")
        return 130
    if not only:
        _write(taken, here, against)
        kept.clear()
        print(f"{PAGE.relative_to(REPO)} is written, in {time.monotonic() - began:.0f} s")
    return 0


def _taken(
    made: World, figure: Figure, here: Tree, earlier: Tree | None, kept: Kept | None
) -> report.Taken:
    try:
        rows = _rows(made, figure, here, kept)
    except Problem as why:
        return report.Taken(figure, [], [], why.cause.rstrip("."))
    except (Unmeasured, TimeoutError) as why:
        return report.Taken(figure, [], [], str(why).partition("\n")[0])
    before: list[Row] = []
    lacking = ""
    if earlier:
        # An earlier node may lack what is measured here: its column stays empty.
        try:
            before = figure.ours(made, earlier)
        except (Unmeasured, TimeoutError) as why:
            lacking = str(why).partition("\n")[0]
    return report.Taken(figure, rows, before, "", lacking)


def _rows(made: World, figure: Figure, here: Tree, kept: Kept | None) -> list[Row]:
    rows = kept.get(figure.name) if kept else None
    if rows is None:
        rows = figure.ours(made, here) + figure.peers(made)
        if kept:
            kept.put(figure.name, rows)
    return rows


def _write(taken: list[report.Taken], here: Tree, against: str | None) -> None:
    try:
        modules, _ = sizes.measure(here)
    except (Unmeasured, Problem):
        modules = []  # its figure says why
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(report.markdown(taken, modules, machine.described(), against))
