"""Health: the node about itself, now and then on `health`, and whenever `get_status` asks.

Health is QoS 0: the next one is better than the last.
"""

from node.shared import topics
from node.shared.message import Message, encode


class Health:
    """The source of `health`, and the snapshot behind it. Counters are since boot."""

    def __init__(self, base, every_s, board, client, sampler, live, backlog, supervisor, downs):
        self._topic = base + "/" + topics.HEALTH
        self._every_ms = every_s * 1000
        self._clock = board.clock
        self._board = board
        self._client = client
        self._sampler = sampler
        self._live = live
        self._backlog = backlog
        self._supervisor = supervisor
        self._downs = downs  # cause -> how often the Link went down for it
        self.dropped = None  # Commands without a Response: reason -> count
        self._due = 0
        self._heap_min = None

    def snapshot(self):
        """What `health` says: a dict; times in the unit of their name, heap in bytes.

        `idf`, `idf_largest`, `idf_min`: free bytes of the chip's own heap, see Board.idf_heap(). A
        chip's `heap` counts in `idf_largest`, by which MicroPython's own could still grow.
        """
        heap = self._board.heap_free()
        self._heap_min = heap if self._heap_min is None else min(self._heap_min, heap)
        client, sampler = self._client, self._sampler
        live, backlog = self._live, self._backlog
        said = {
            "v": 1,
            "ts": self._clock.unix(),
            "up": self._clock.now() // 1000,
            "heap": heap,
            "heap_min": self._heap_min,
            "rssi": self._board.network.rssi(),
            "downs": self._downs,
            "handshake_ms": client.handshake_took_ms,
            "ping_ms": client.ping_took_ms,
            "queued": live.queued + backlog.queued,
            "dropped": live.dropped + backlog.dropped,
            "commits": backlog.commits,
            "flash_errors": live.errors + backlog.errors,
            "reads": sampler.reads,
            "read_errors": sampler.errors,
            "bugs": self._supervisor.bugs,
            "longest_step_ms": self._supervisor.longest_ms,
            "interval_s": sampler.interval_ms // 1000,
            "commands_dropped": self.dropped,
            "oversized": client.oversized,
            "refused_subscriptions": client.refused_subscriptions,
        }
        idf = self._board.idf_heap()
        if idf:
            said["idf"], said["idf_largest"], said["idf_min"] = idf
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
