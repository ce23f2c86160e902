"""Health: the node about itself, now and then on `health`, and whenever `get_status` asks.

Health is QoS 0: the next one is better than the last.
"""

from node.shared import topics
from node.shared.message import Message, encode
from node.shared.unimport import unimport


class Health:
    """The source of `health`, and the snapshot behind it. Counters are since boot."""

    def __init__(self, base, every_s, board, client, sampler, live, backlog, supervisor, downs):
        self._topic = base + "/" + topics.HEALTH
        self._every_ms = every_s * 1000
        self._clock = board.clock
        # downs: cause -> how often the Link went down for it
        self._parts = (board, client, sampler, live, backlog, supervisor, downs)
        self.dropped = None  # Commands without a Response: reason -> count
        self._due = 0
        self._heap_min = None

    def snapshot(self):
        """What `health` says, see figures.py."""
        from node.reporting.figures import figures

        unimport("node.reporting.figures")  # when this returns
        said = figures(*self._parts, self.dropped, self._heap_min)
        self._heap_min = said["heap_min"]
        return said

    def step(self, now):
        """Nothing to do but to be asked again when the next one is due; one that is overdue waits
        for the Link.
        """
        wait = self._due - now
        return wait if self._every_ms and wait > 0 else 60000

    def peek(self, now):
        """A snapshot, when one is due."""
        if not self._every_ms or now < self._due:
            return None
        return self._due, Message(self._topic, encode(*self.snapshot().items()), 0, False)

    def sent(self, key):
        """The next is due a period from now; what fell out while the Link was down stays out."""
        self._due = self._clock.now() + self._every_ms

    def done(self, key=None):
        """Nothing to do: QoS 0 is not acknowledged, nor sent again or kept."""

    rewind = save = done
