"""What stands in the place of the sampler and the Outbox of its Readings in safe mode, so that
nobody else need know.
"""


class Resting:
    """A sampler that takes no Readings, and a source that has none."""

    queued = dropped = commits = reads = foreign = pace_ms = 0
    topic = due = None
    ready = False

    def __init__(self, interval_ms):
        self.interval_ms = interval_ms
        self.errors = {}

    def read_now(self, now):
        """Not here. Raises CommandError."""
        from node.shared.errors import CommandError  # the one that is caught now

        raise CommandError("safe-mode", "there is no sampler in safe mode")

    def change(self, settings):
        """There are other settings: the interval that is told, and used after safe mode."""
        self.interval_ms = settings.interval_s * 1000

    def overdue(self, now):
        """Nothing is due."""
        return False

    def rewind(self):
        """Nothing was sent."""

    save = rewind


def resting(interval_s):
    """Sampler, Live and Backlog for safe mode; the interval is what `set_interval` changes."""
    sampler = Resting(interval_s * 1000)
    source = Resting(0)
    source.errors = 0  # a source counts those of flash
    return sampler, source, source
