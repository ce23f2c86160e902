"""`limpet test-board`: the node tried on whatever answers at a port, and a table of what was seen.

outcome.py   what a check has found, and the table
stage.py     a broker of its own, an operator, and all that the node has said
ear.py       what the board says on its console meanwhile
checks.py    the checks, in the order in which they are made
command.py   the subcommand: provision, deploy, check, report
"""
