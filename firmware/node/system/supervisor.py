"""Runs the steps of the main loop, and feeds the watchdog while they make progress.

What a step raises is a bug, by definition, and does not end the node. Progress is that each part
has returned, and that none that is watched has left undone, by its own account, what was due: the
watchdog gets what is stuck inside a step, and what only pretends to work.

What has a catcher of its own is not caught here (see errors.py), and it resets nothing: it returns,
and main does.
"""

import sys

from micropython import const

_LONGEST_WAIT_MS = const(10000)  # so that the watchdog is fed
_LEAVE_MS = const(10000)  # longer than a Link needs that works
# After a bug, so that one that comes at every step does not fill the log at once.
_PAUSE_MS = const(1000)


class Supervisor:
    """Counts bugs, and measures the longest step of each kind in real milliseconds.

    `last_bug` is an exception. recovery: told of bugs and of what is stuck, see recovery.py.
    """

    def __init__(self, clock, log, recovery):
        self._clock = clock
        self._log = log
        self._recovery = recovery
        self._stuck = None
        self.bugs = 0
        self.last_bug = None
        self._looked = 0  # at the clock
        self._longest = 0  # of its milliseconds

    @property
    def longest_ms(self):
        """Real milliseconds that the longest step has taken."""
        return self._clock.real_ms(self._longest)

    def run(self, link, sleep, others, watched, watchdog, asked):
        """Turn until the Link has left, and have its sources keep what they hold; returns the
        reason: shutdown (Ctrl-C), or what was asked.

        sleep: link.wait, as the Board wants it. others: what is stepped beside the Link, before it,
        so that what they make goes out in the same turn; not at all while none of them is due and
        the Link was idle. watched: pairs of a name and a part that has `overdue(now)`;
        watchdog.feed() is called in each turn in which none is. asked: parts whose
        `asked_to_leave()` gives a reason, or None.
        """
        reason = None
        due = leave_by = 0
        interrupted = False
        while not link.stopped:
            try:
                now = self._looked = self._clock.now()
                if reason is None and now >= due:
                    due = now + min([self.step(each, now) for each in others])
                wait = min(self.step(link, now), _LONGEST_WAIT_MS)
                if not wait:
                    due = now  # what came in may have given the others something to do
                if reason is None:
                    wait = min(wait, due - now)
                    reason = "shutdown" if interrupted else None
                    for each in asked:
                        reason = reason or each.asked_to_leave()
                    if reason is not None:
                        link.stop(now, reason)
                        leave_by = now + _LEAVE_MS
                        wait = 0
                elif now >= leave_by:
                    break
                if reason is not None or self._progress(watched, now):
                    watchdog.feed()
                sleep(self._clock.real_ms(wait))
            except KeyboardInterrupt:
                if interrupted:
                    break  # asked twice: the will says the rest
                interrupted = True
        for each in link.sources:
            try:
                each.save()
            except Exception as error:  # noqa: BLE001 - the others have something to keep, too
                self.bug(error)
        return reason

    def _progress(self, watched, now):
        stuck = None
        for name, part in watched:
            if part.overdue(now):
                stuck = name
        if stuck != self._stuck:
            self._stuck = stuck
            self._recovery.stuck(stuck)
        return stuck is None

    def step(self, what, now):
        """Step `what` once; returns the milliseconds it asks to sleep for."""
        try:
            wait = what.step(now)
        except Exception as error:  # noqa: BLE001 - this is the one place for what nobody expected
            self.bug(error)
            wait = _PAUSE_MS
        # One look at the clock: where this step ends the next one begins.
        began, self._looked = self._looked, self._clock.now()
        if self._looked - began > self._longest:
            self._longest = self._looked - began
        return wait

    def bug(self, error):
        """An exception that nobody expected."""
        self.bugs += 1
        self.last_bug = error
        self._recovery.bug(self._clock.now())
        self._log("node", "bug", self.bugs)
        sys.print_exception(error)
