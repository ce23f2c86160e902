"""The levers of the demo: what moves the simulated sensors of `limpet run`, and makes faults.

levers.py    Levers: what there is, how it is set, what happens; lever.py one of them, pure
bench.py     all that they move, put together for one run
sensors.py   the sensors' levers, and the file that tells the laptop's Board
faults.py    those between node and broker, and the node's power
    relay.py what is between node and broker, as TCP has it
    held.py, looped.py  what that needs: ports that come back, a loop in a thread
"""
