# mypy: ignore-errors
"""What the heap holds more of after each import, in the order of `names`."""

import gc

from bench_common import say, settings

_pad = bytearray(settings.get("pad", 0))
heaps = []
for name in settings["names"]:
    gc.collect()
    before = gc.mem_alloc()
    try:
        __import__(name)
    except ImportError:
        heaps.append(None)  # it needs what only a chip has
        continue
    gc.collect()
    heaps.append(gc.mem_alloc() - before)
say(heaps=heaps)
