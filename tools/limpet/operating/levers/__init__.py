"""The levers of the demo: what makes faults around the node of `limpet run`.

relay.py     what is between node and broker, as TCP has it
    held.py, looped.py  what that needs: ports that come back, a loop in a thread
"""
