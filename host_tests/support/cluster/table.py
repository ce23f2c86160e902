"""What a run with a cluster prints at its end."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from support.cluster.run import Run


def show(console: Console, run: Run, *, ended: bool = True) -> bool:
    """Print all of it; returns whether no Reading was lost, and nothing came that nobody said.

    ended: whether what was on its way has been waited for.
    """
    ledger, result = run.ledger, run.result
    lost = ledger.lost()
    answered = sum(result.answers[each] > 0 for each in result.commands)
    again = sum(result.answers[each] > 1 for each in result.commands)
    table = Table("what", "how much", box=box.ASCII2)
    table.add_row("nodes, and seconds", f"{len(run.devices)}, {result.seconds:.0f}")
    back = ", ".join(f"{each:.0f}" for each in result.revived_s)
    table.add_row("members killed", f"{result.kills}; back after {back} s")
    table.add_row("connections that nodes lost", str(ledger.reconnects))
    table.add_row("times the consumer connected", str(result.connects))
    table.add_row("Readings taken", str(len(ledger.taken)))
    table.add_row("delivered", str(sum(key in ledger.delivered for key in ledger.taken)))
    table.add_row("delivered more than once", str(ledger.twice()))
    text = f"{len(lost)} {lost[:5] if lost else ''}".rstrip()
    table.add_row("lost" if ended else "on their way, or lost", text)
    young = len([key for key in ledger.cut if key not in ledger.delivered])
    table.add_row("not yet on flash when the power went", str(young))
    table.add_row("longest pause, of all nodes", f"{ledger.pause_s:.1f} s")
    table.add_row("longest pause, of one node", f"{ledger.longest_s:.1f} s")
    silent = ", ".join(result.silent)
    table.add_row("nodes that stayed silent", silent or "none")
    table.add_row("nodes without power, and wills", f"{result.power_cuts}, {result.wills}")
    text = f"{len(result.commands)}, {answered} answered, {again} more than once"
    table.add_row("Commands sent", text)
    for number, (right, wrong) in enumerate(result.retained, 1):
        missing = len(run.devices) - right - wrong
        text = f"{right} right, {wrong} old, {missing} missing"
        table.add_row(f"retained statuses, member {number}", text)
    memory = ", ".join(map(str, result.memory_mb))
    table.add_row("memory of the members", f"{memory} MB")
    console.print(table)
    for wrong_line in ledger.foreign[:10]:
        console.print(f"wrong: {wrong_line}", highlight=False, markup=False)
    return not (lost or ledger.foreign or result.silent)
