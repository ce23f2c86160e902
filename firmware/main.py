"""Starts the node. line.py is what a main.py usually is: here it is byte code, and watched over.

Code that not even the guard can be imported from is left for the slot before it. What it will NOT
do: reset, or go back for anything less; from there on the guard decides.
"""


def start():
    """The guard of the slot in use, or of the other one; None when neither can start."""
    import os
    import sys

    for last in (False, True):
        slot = sys.path[0]
        try:
            # The list is written last: without it this slot was never finished.
            if last:
                os.stat(slot + "/files.json")
            from device import guard

            return guard
        except Exception as error:  # a file that is cut short fails in many ways
            if slot not in ("/a", "/b"):
                raise
            print("limpet: slot %s cannot start: %r" % (slot, error))
        for name in list(sys.modules):
            if name.split(".")[0] in ("device", "node"):
                del sys.modules[name]
        sys.path[0] = "/a" if slot == "/b" else "/b"
    print("limpet: no slot can start, copy the code again: limpet deploy")


guard = start()
if guard:
    guard.run()
