"""`limpet run`: broker, node, subscriber and page together, from nothing to live Readings.

run.py          the command: the only tool that knows all of them
    beside.py   the page that is served meanwhile
    live.py     news in, Events out; scene.py what they mean; view.py how that looks

It may import everything but the command line, and nothing imports it.
"""
