"""What a chaos run prints at its end."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from rich.console import Console
from rich.table import Table
from support.chaos.run import Run


def show(console: Console, run: Run) -> bool:
    """Print all of it; returns whether nothing was lost and nothing was wrong."""
    console.print(_kinds(run))
    console.print(_totals(run))
    for wrong in run.world.books.wrong[:10] + run.world.books.bugs[:10]:
        console.print(f"wrong: {wrong}", highlight=False, markup=False)
    books = run.world.books
    return not (books.lost() or books.wrong or books.bugs or books.unheard())


def quantile(values: list[float], share: float) -> float:
    """Return the value below which `share` of `values` lie."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def _kinds(run: Run) -> Table:
    """Faults by kind. What came with others has their time: it counts for each of them."""
    table = Table("fault", title="Faults, and node seconds from their end to a Reading delivered")
    for name in ("times", "median", "p95"):
        table.add_column(name, justify="right")
    times = defaultdict(list)
    for kinds, seconds in run.times:
        for kind in kinds:
            times[kind].append(seconds * run.world.speed)
    for kind, count in sorted(Counter(fault.kind for fault in run.done).items()):
        own = times[kind]
        table.add_row(kind, str(count), f"{quantile(own, 0.5):.1f}", f"{quantile(own, 0.95):.1f}")
    return table


def _totals(run: Run) -> Table:
    books, speed = run.world.books, run.world.speed
    times = [seconds for _, seconds in run.times]
    lost, young, unseen = books.lost(), books.young_lost(), books.unseen()
    table = Table("what", "how much", title="Totals")
    alone = sum(len(kinds) == 1 for kinds, _ in run.times)
    table.add_row("faults", f"{len(run.done)}, {alone} of them alone, the others in groups")
    table.add_row("that never happened", str(len(run.unmet)))
    table.add_row("real minutes", f"{(time.monotonic() - run.began) / 60:.1f}")
    text = f"{len(books.boots)}, and {books.resets} that it chose"
    table.add_row("boots of the node", text)
    table.add_row("Readings taken", str(len(books.taken)))
    table.add_row("delivered", str(len(books.delivered)))
    table.add_row("delivered more than once", str(books.duplicated()))
    text = f"{len(books.seen)}, all but {len(unseen)} {unseen[:5] if unseen else ''}".rstrip()
    table.add_row("seen by an operator", text)
    table.add_row("lost", f"{len(lost)} {lost[:5] if lost else ''}".rstrip())
    late = len(books.late())
    oldest = max((each.age_s for each in young), default=0.0)
    ages = f" ({late} of them by a busy machine; the oldest {oldest:.1f} s)"
    text = f"{len(books.cut)}, of which {len(young)} not delivered{ages if young else ''}"
    table.add_row(f"younger than {books.commit_after_s} s at a cut (commit_after)", text)
    table.add_row("other than logged, or than before", str(len(books.wrong)))
    table.add_row("longest step, ms", f"{books.longest_ms}; with slow DNS {books.longest_dns_ms}")
    for unit, factor in (("node", speed), ("real", 1.0)):
        values = [factor * quantile(times, share) for share in (0.5, 0.95, 1.0)]
        text = "median {:.2f}, p95 {:.2f}, longest {:.2f}".format(*values)
        table.add_row(f"end of fault to delivery, {unit} s", text)
    healths = [boot.healths for boot in books.boots if boot.healths]
    if healths:
        first, last = healths[0][0], healths[-1][-1]
        longest = max(healths, key=lambda each: each[-1]["up"])
        for name, some in (
            ("heap free, first and last boot", [first, last]),
            ("in the longest boot", [longest[len(longest) * n // 6] for n in range(6)]),
        ):
            text = ", ".join(f"{each['heap']} at {each['up']} s" for each in some)
            table.add_row(name, text)
        for name in ("commits", "flash_errors", "dropped"):
            table.add_row(name, str(sum(boot[-1][name] for boot in healths)))
    causes = ", ".join(f"{name} {count}" for name, count in books.causes.most_common())
    table.add_row("why the Link went down", causes)
    table.add_row("bugs", str(len(books.bugs)))
    return table
