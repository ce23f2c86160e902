"""Modules that are needed now and then: byte code that nobody uses is heap that nobody has.

Nobody looks who still uses a module. Whoever holds an object out of it keeps that alive, and the
module, imported anew, has others of the same name: nothing that is compared or caught outside may
be defined in there.
"""

import sys


def unimport(*names):
    """Forget these modules, and those below one that is a package; the next import loads them."""
    for name in names:
        for each in list(sys.modules):
            if each == name or each.startswith(name + "."):
                del sys.modules[each]
                parent, _, last = each.rpartition(".")
                if hasattr(sys.modules.get(parent), last):
                    delattr(sys.modules[parent], last)
