# mypy: ignore-errors
"""What the heap holds more of after each import, in the order of `names`."""

import gc

from bench_common import say, settings

heaps = []
for name in settings["names"]:
    gc.collect()
    before = gc.mem_alloc()
    __import__(name)
    gc.collect()
    heaps.append(gc.mem_alloc() - before)
say(heaps=heaps)
