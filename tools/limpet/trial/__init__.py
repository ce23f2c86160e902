"""`limpet test-board`: the node tried on whatever answers at a port, and a table of what was seen.

outcome.py       what a check has found, and the table
stage.py         a broker of its own, an operator, and all that the node has said
wire.py          the way to that broker, which can be cut and has a length
console_log.py   what the board says on its console meanwhile
console.py       the board by its port, and probes.py what is run there
checks.py        what a board has to do, and measures.py what it is measured by
report.py        what was found as a file, and compare.py two of them side by side
command.py       the subcommand: provision, deploy, check, report, compare
"""
