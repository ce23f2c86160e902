"""A board that runs MicroPython: copying a node onto it, and what it says.

deploy.py             `limpet deploy`
    deployment.py     one deploy, from what is on a board to its reset
    modules.py        how the file with a slot's modules comes about there
    own_files.py      what becomes of the board's identity and settings in it
    surveying.py      what the board tells of its flash; slots.py what follows from that
    arrival.py        the node starts: until the broker has let it in
remote.py             a board in its raw REPL
console.py            `limpet console`
    console_lines.py  lines from a port that may go and come back; node_log.py what they mean
"""
