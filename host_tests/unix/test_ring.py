"""lib/ring.py against a model that is too simple to be wrong, under the real interpreter."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

MODEL = """
import random, struct
from ring import Ring

def at(ring, index):
    return (ring.oldest + 4 * (index - ring.first)) % len(ring.buffer)

random.seed({seed})
for capacity in (1, 2, 3, 7, 16):
    ring = Ring(4, capacity)
    model, dropped, stored = [], 0, 0          # model: (index, value), oldest first
    for _ in range(400):
        if random.random() < 0.7:
            value = random.getrandbits(32)
            struct.pack_into("<I", ring.buffer, ring.push(), value)
            model.append((stored, value))
            stored += 1
            if len(model) > capacity:
                model.pop(0)
                dropped += 1
        else:
            upto = random.randint(0, stored)
            ring.forget_until(upto)
            model = [item for item in model if item[0] >= upto]
        held = [
            (i, struct.unpack_from("<I", ring.buffer, at(ring, i))[0])
            for i in range(ring.first, ring.next)
        ]
        if held != model or ring.dropped != dropped:
            print("differs", capacity, held, model, ring.dropped, dropped)
            raise SystemExit(1)
        if ring.next != stored:
            raise SystemExit(2)
print("same")
"""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ring_does_what_the_model_does(seed: int) -> None:
    """Under random pushes and forgetting, records, indices and the drop count equal the model's."""
    assert run(MODEL.format(seed=seed)) == "same\n"


def test_record_that_was_never_stored_cannot_be_forgotten() -> None:
    """It raises IndexError and changes nothing."""
    script = """
from ring import Ring
ring = Ring(2, 2)
for _ in range(3):
    ring.push()
ring.forget_until(2)
try:
    ring.forget_until(4)
    print("accepted")
except IndexError:
    print(ring.first, ring.next, ring.oldest, ring.dropped)
"""
    assert run(script) == "2 3 0 1\n"


def test_ring_of_nothing_is_refused() -> None:
    """A record size or a capacity below 1 is a ValueError."""
    script = """
from ring import Ring
for size, capacity in ((0, 1), (1, 0), (-1, 4)):
    try:
        Ring(size, capacity)
        print("accepted")
    except ValueError:
        print("refused")
"""
    assert run(script) == "refused\n" * 3


def test_push_allocates_nothing() -> None:
    """Storing and forgetting a record takes no heap, so a busy store never starves the rest."""
    script = """
import gc, struct
from ring import Ring
ring = Ring(20, 8)
def work(count):
    for _ in range(count):
        struct.pack_into("<I", ring.buffer, ring.push(), 7)
        ring.forget_until(ring.first + 1)
work(1)
gc.disable()
before = gc.mem_alloc()
work(100)
print(gc.mem_alloc() - before < 100)
"""
    assert run(script, arch="i386") == "True\n"
