# mypy: ignore-errors
"""What a Reading leaves on the heap: a part of bench_node.py, loaded for that alone, as its names
would be counted as the node's heap else.
"""

import gc

from bench_common import settings


def part(flood):
    """The part, which is a Flood (bench_node.py) that counts."""

    class Garbage(flood):
        """What `count` Readings leave on the heap, one after the other, while nothing collects it:
        from the driver's values to the PUBACK, and nothing of what measures.
        """

        WARM = 4  # Readings before those that count: what is loaded for the first is no garbage

        def __init__(self, *joined):
            super().__init__(*joined)
            self.left = self.turned = 0
            self._begun = (
                None  # bytes on the heap when the node went on; None: it is not counted yet
            )
            self._sleep = self.client.wait  # the laptop's Ctrl-C is none of the chip's

        def node_goes_on(self):
            """From here on it is the node's."""
            if self._begun is not None:
                self._begun = gc.mem_alloc()

        def node_pauses(self):
            """Up to here it was the node's."""
            if self._begun is not None:
                self.left += gc.mem_alloc() - self._begun

        def sleep(self, real_ms):
            """Sleep as the others do."""
            self.node_pauses()
            heard = super().sleep(real_ms)
            self.node_goes_on()
            return heard

        def run(self, now):
            """Look at what there is to look at."""
            self.node_pauses()
            super().run(now)
            self.node_goes_on()

        def put(self, number, now):
            """Have the sampler ask its sensors, which always say the same."""
            if not hasattr(self.sampler, "encode"):
                super().end(lacks="sampler that is asked by itself")
            if number == self.WARM:
                gc.collect()
                gc.disable()
                self._begun = 0
            for asked in self.sampler._asked:
                asked.sensor.read = said_by(len(asked.sensor.fields))
            self.node_goes_on()
            ask(self.sampler, now)
            self.node_pauses()

        def end(self, **results):
            """Tell how much it was."""
            super().end(left=self.left, count=settings["count"] - self.WARM)

    return Garbage


def alone(sampler, now):
    """Have it ask its sensors, with nobody who logs or takes the Reading."""
    if sampler._log is not nobody:
        sampler._log = sampler._on_reading = nobody
        for each in sampler._asked:
            each.sensor.read = said_by(len(each.sensor.fields))
    ask(sampler, now)


def nobody(one, two=None, three=None):
    """Neither logs nor takes."""


def ask(sampler, now):
    """Have it take a Reading, whatever the pace of its sensors."""
    reads = sampler.reads
    sampler.read_now(now)
    while sampler.reads == reads:
        for asked in sampler._asked:
            asked.ready = 0
        sampler.run(now)


def said_by(fields):
    """A `read` that gives the same values each time, in a tuple of its own each time."""
    values = (244,) * fields
    return lambda: values + ()  # noqa: RUF005 (MicroPython)
