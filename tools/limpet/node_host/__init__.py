"""MicroPython on a PC: the interpreter, the node as a process, and its byte code.

interpreter.py     which MicroPython runs the node here
    debian.py      Debian's, unpacked; releases.py others; javascript.py where there is no other
    umqtt.py       umqtt, which a chip has in its firmware
process.py         the node as a process, with a folder as its flash
    environment.py by which variables it finds its files
bytecode.py        the node as a chip has it
    groups.py      without the groups of its sources; short_names.py with short names
    rom_names.py   such that cost no heap; spelling.py what stands in a source
    traces.py      tracebacks of that, readable again
"""
