"""What every layer uses, and what knows no other part of the tools.

Of a command: problem.py (cause and remedy), ending.py, progress.py and bar.py (how far it is),
numbers.py (with their ranges), asked.py (secrets), windows.py, extras.py (packages that are not
there).
Of files: paths.py (where things are), private.py (for the owner alone), filling.py (folders of what
can be had again), locks.py, in_use.py.
From elsewhere: known_files.py (by their hash), fetching.py, transports.py, installing.py (pip).
Of the node: firmware.py (its own pure files), mechanisms.py (those of lib/), payloads.py (what they
say, in words), seen_readings.py (Readings, of whatever sensors), plain.py (any value as a harmless
line).
"""
