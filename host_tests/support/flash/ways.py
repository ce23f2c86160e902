"""In which ways flash is told to refuse."""

from __future__ import annotations

import os

# How often flash refuses, whether by an exception, as a chip's does, and how much of it it does
# nevertheless: one way for each test, and all of them where REFUSALS=full says so.
FULL = os.environ.get("REFUSALS") == "full"
WAYS = [(raises, done) for raises in (True, False) for done in ("none", "half", "all")]
