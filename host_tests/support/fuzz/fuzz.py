"""Feeds a target of targets.py what nobody should send. Runs under both Pythons.

`python fuzz.py TARGET COUNT SEED EVERY`: each sample, each of its prefixes, each with one bit
flipped (of these, one in EVERY), and COUNT random mutations. Under MicroPython it also measures the
heap that one input costs, garbage included. The same seed gives the same inputs under both.
"""

import gc
import sys
import time

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from support.fuzz.chance import Random

MEASURES = sys.implementation.name == "micropython"
# design.md's budget of one step. An input that took longer is tried again: only what is slow each
# time is slow.
SLOW_US = 50000


def systematic(sample: bytes):  # type: ignore[no-untyped-def]
    """Yield the sample, each of its prefixes, and each copy with one bit flipped."""
    yield sample
    for end in range(len(sample)):
        yield sample[:end]
    for at in range(len(sample)):
        flipped = bytearray(sample)
        for bit in range(8):
            flipped[at] = sample[at] ^ 1 << bit
            yield bytes(flipped)


def mutated(rng: Random, samples: tuple, tokens: tuple, size_max: int) -> bytes:
    """Return one of `samples` after some random changes, of at most `size_max` bytes."""
    data = bytearray(samples[rng.below(len(samples))])
    for _ in range(1 + rng.below(6)):
        how = rng.below(8)
        at = rng.below(len(data) + 1)
        end = at + rng.below(len(data) - at + 1)
        if at + rng.below(5) < len(data):
            end = min(end, at + 4)
        token = tokens[rng.below(len(tokens))]
        if how == 0 and at < len(data):
            data[at] ^= 1 << rng.below(8)
        elif how == 1 and at < len(data):
            data[at] = rng.below(256)
        elif how == 2:
            data[at:end] = token
        elif how == 3:
            data[at:at] = token
        elif how == 4:
            data[at:end] = b""
        elif how == 5:
            data[at:at] = data[at:end]
        elif how == 6 and not rng.below(4):
            data[at:at] = token * rng.below(1 + size_max // max(len(token), 1))
        elif how == 7 and not rng.below(4):
            other = samples[rng.below(len(samples))]
            data[at:] = other[rng.below(len(other) + 1) :]
    return bytes(data[:size_max])


class Meter:
    """Gives inputs to `feed`, and keeps the most that one of them took: time (us), and heap (bytes)
    beyond `per_byte` for each byte of the input.
    """

    def __init__(self, feed, per_byte: int) -> None:  # type: ignore[no-untyped-def]
        self._feed = feed
        self._per_byte = per_byte
        self.inputs = self.heap = self.longest_us = 0

    def give(self, data: bytes) -> None:
        """Feed `data`; what is raised comes with the input printed."""
        self.inputs += 1
        try:
            took = self._timed(data)
            if took > SLOW_US:
                took = min(took, self._timed(data), self._timed(data))
        except BaseException:
            print("input", self.inputs, repr(data))
            raise
        self.longest_us = max(self.longest_us, took)

    def _timed(self, data: bytes) -> int:
        if not MEASURES:
            began_ns = time.process_time_ns()
            self._feed(data)
            return (time.process_time_ns() - began_ns) // 1000
        if gc.mem_free() < 150000:  # type: ignore[attr-defined]
            gc.collect()
        gc.disable()
        began = time.ticks_us()  # type: ignore[attr-defined]
        before = gc.mem_alloc()  # type: ignore[attr-defined]
        self._feed(data)
        heap = gc.mem_alloc() - before  # type: ignore[attr-defined]
        took: int = time.ticks_diff(time.ticks_us(), began)  # type: ignore[attr-defined]
        gc.enable()
        self.heap = max(self.heap, heap - self._per_byte * len(data))
        return took


def held() -> int:
    """Return the bytes of heap in use after a collection; 0 under CPython."""
    gc.collect()
    return gc.mem_alloc() if MEASURES else 0  # type: ignore[attr-defined]


def main(name: str, count: int, seed: int, every: int) -> None:
    """Run one target, and print what its inputs cost at most."""
    # What lies deep is imported first: MicroPython has not the stack to do that further in.
    import support.parts.layouts  # noqa: F401
    from support.fuzz import targets

    target = targets.TARGETS[name]()
    samples, tokens = target.samples, target.tokens
    for sample in samples + samples:
        target.feed(sample)  # what is imported or allocated once is not the input's
    for code in range(256):
        chr(code)  # nor is what MicroPython keeps for good of each string of one character
    meter = Meter(target.feed, target.per_byte)
    before = held()
    for sample in samples:
        for number, data in enumerate(systematic(sample)):
            if number % every == 0:
                meter.give(data)
    rng = Random(seed)
    for _ in range(count // getattr(target, "dear", 1)):
        meter.give(mutated(rng, samples, tokens, target.size_max))
    kept = held() - before
    print(f"inputs={meter.inputs} heap={meter.heap} kept={kept} longest_us={meter.longest_us}")
    if MEASURES and (meter.heap > target.heap or kept > target.kept):
        raise AssertionError(f"over the bound: heap {target.heap}, kept {target.kept}")
    if meter.longest_us > SLOW_US:
        raise AssertionError("slow")


if __name__ == "__main__":
    main(sys.argv[1], *[int(word) for word in sys.argv[2:5]])
