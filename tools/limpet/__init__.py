"""What runs on a PC: the `limpet` command and the library behind it.

In layers, each of which imports what stands below it: "Layers of tools/limpet" in ARCHITECTURE.md.
Here itself is the command line alone.
"""
