"""The node's own pure files for the tools, so that both sides refuse the same things in the same
words.

Nothing that runs only under MicroPython is among them.
"""

import sys

from limpet.shared.paths import FIRMWARE

if str(FIRMWARE) not in sys.path:
    # At the end: `node` is a common name, and nothing of the tools' own may be hidden by it.
    sys.path.append(str(FIRMWARE))

from node import commands
from node.commands import parse
from node.config import config, first_config, more_brokers, rules, settings
from node.shared import errors, reading, strictjson, topics, version

__all__ = [
    "commands",
    "config",
    "errors",
    "first_config",
    "more_brokers",
    "parse",
    "reading",
    "rules",
    "settings",
    "strictjson",
    "topics",
    "version",
]
