"""Lets CPython import what is written for MicroPython: import this first. A no-op on MicroPython.

Only names are stood in for. CPython's sockets and clocks stay as they are.
"""

import sys

if sys.implementation.name == "cpython":
    import binascii
    import socket
    import struct
    import time
    import types

    micropython = types.ModuleType("micropython")
    micropython.const = lambda value: value  # type: ignore[attr-defined]
    sys.modules["micropython"] = micropython
    sys.modules["usocket"] = socket
    sys.modules["ustruct"] = struct
    sys.modules["ubinascii"] = binascii
    sys.modules["utime"] = time
