"""Health: the node about itself, now and then on `health`, and whenever `get_status` asks.

Health is QoS 0: the next one is better than the last.
"""

from node.shared.message import encode
from node.shared.unimport import unimport


class Health:
    """The source of `health`, and the snapshot behind it. Counters are since boot."""

    qos = 0
    ready = False

    def __init__(self, base, every_s, board, parts):
        from node.shared import topics

        self.topic = base + "/" + topics.HEALTH
        self._every_ms = every_s * 1000
        self._board = board
        self._parts = parts
        self.dropped = None  # Commands without a Response: reason -> count
        self.due = 0 if every_s else None
        self._heap_min = None

    def snapshot(self):
        """What `health` says, see figures.py."""
        from node.reporting.figures import figures

        unimport("node.reporting.figures")  # when this returns
        said = figures(self._board, self._parts, self.dropped, self._heap_min)
        self._heap_min = said["heap_min"]
        return said

    def run(self, now):
        """One is due: it waits for the Link."""
        self.ready = True
        self.due = None

    def peek(self, now):
        """A snapshot."""
        return 0

    def write(self, packet):
        """Its payload: what is so now."""
        packet += encode(*self.snapshot().items())

    def sent(self, key):
        """The next is due a period from now; what fell out while the Link was down stays out."""
        self.ready = False
        self.due = self._board.clock.now() + self._every_ms

    def done(self, key=None):
        """Nothing to do: QoS 0 is not acknowledged, nor sent again or kept."""

    rewind = save = done
