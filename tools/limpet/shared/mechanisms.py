"""The node's own mechanisms, lib/, for tools that stand in for a node: the same files, so that both
sides wait by one rule and speak in the same packets.

Only what is free of sockets and of MicroPython is among them.
"""

import sys

from limpet.shared.paths import LIB

if str(LIB) not in sys.path:
    # At the end, as firmware.py does: nothing of the tools' own is to be hidden by it.
    sys.path.append(str(LIB))

import mqtt_connect
import mqtt_packets
from backoff import Backoff

__all__ = ["Backoff", "mqtt_connect", "mqtt_packets"]
