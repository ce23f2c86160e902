"""Runs the steps of the main loop: what it catches is a bug, by definition, and does not end the
node.

What it will not do: catch what has a catcher of its own (see errors.py), or reset: it returns, and
main does.
"""

import sys

from micropython import const

_TOO_MANY = const(10)
_LONGEST_WAIT_MS = const(10000)  # so that the watchdog is fed
_LEAVE_MS = const(10000)  # longer than a Link needs that works
_PAUSE_MS = const(
    1000
)  # after a bug, so that one that comes at every step does not fill the log at once


class Supervisor:
    """Counts bugs, and measures the longest step of each kind in real milliseconds."""

    def __init__(self, clock, log):
        self._clock = clock
        self._log = log
        self.bugs = 0
        self.longest_ms = 0

    def run(self, link, sleep, others, watchdog, asked_to_leave):
        """Turn until the Link has left; returns the reason: shutdown (Ctrl-C), bugs, or what was
        asked for.

        sleep: link.wait, as the Board wants it. others: what is stepped beside the Link, before it, so that what they make goes out in the
        same turn. watchdog.feed() is called at each turn. asked_to_leave(): a reason, or None.
        """
        reason = None
        leave_by = 0
        interrupted = False
        while not link.stopped:
            try:
                now = self._clock.now()
                wait = _LONGEST_WAIT_MS
                if reason is None:
                    for each in others:
                        wait = min(wait, self.step(each, now))
                wait = min(wait, self.step(link, now))
                if reason is None:
                    reason = "shutdown" if interrupted else self._too_many() or asked_to_leave()
                    if reason is not None:
                        link.stop(now, reason)
                        leave_by = now + _LEAVE_MS
                        wait = 0
                elif now >= leave_by:
                    break
                watchdog.feed()
                sleep(self._clock.real_ms(wait))
            except KeyboardInterrupt:
                if interrupted:
                    break  # asked twice: the will says the rest
                interrupted = True
        return reason

    def _too_many(self):
        return "bugs" if self.bugs >= _TOO_MANY else None

    def step(self, what, now):
        """Step `what` once; returns the milliseconds it asks to sleep for."""
        began = self._clock.now()
        try:
            return what.step(now)
        except Exception as error:  # noqa: BLE001 - this is the one place for what nobody expected
            self.bug(error)
            return _PAUSE_MS
        finally:
            took = self._clock.real_ms(self._clock.now() - began)
            self.longest_ms = max(self.longest_ms, took)

    def bug(self, error):
        """An exception that nobody expected."""
        self.bugs += 1
        self._log("node", "bug", self.bugs)
        sys.print_exception(error)
