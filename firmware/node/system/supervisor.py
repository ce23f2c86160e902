"""Runs each part when it is due (see message.py), sleeps till the least of their times or until the
broker says something, and feeds the watchdog while they make progress.

What a part raises is a bug, by definition, and does not end the node; so is a part that is due
again at once, which would keep the node awake: it is put off by a second. Progress is that each
part has returned, and that none that is watched has left undone, by its own account, what was due:
the watchdog gets what is stuck inside a part, and what only pretends to work.

What has a catcher of its own is not caught here (see errors.py), and it resets nothing: it returns,
and main does.
"""

import sys

from micropython import const

# So that the watchdog is fed; and longer than a Link needs to leave that works.
_LONGEST_WAIT_MS = const(10000)
# After a bug, so that one that comes each time does not fill the log at once.
_PAUSE_MS = const(1000)


class Supervisor:
    """Counts bugs, and measures the longest step of each kind in real milliseconds.

    `last_bug` is an exception, `longest_ms` in real milliseconds what the longest step has taken.
    recovery: told of bugs and of what is stuck, see recovery.py.
    """

    def __init__(self, clock, log, recovery):
        self._clock = clock
        self._log = log
        self._recovery = recovery
        self._stuck = None
        self.bugs = 0
        self.last_bug = None
        self.longest_ms = 0

    def run(self, link, sleep, others, watched, watchdog, asked):
        """Turn until the Link has left, and have its sources keep what they hold; returns the
        reason: shutdown (Ctrl-C), or what was asked.

        sleep: client.wait, as the Board wants it. others: parts beside the Link and its sources,
        run before it, so that what they make goes out in the same turn; not while the node leaves.
        watched: pairs of a name and a part that has `overdue(now)`; watchdog.feed() is called in
        each turn in which none is. asked: parts with a `wish`: a reason to leave, or None. Neither
        is looked at in a turn that is only the broker's doing.
        """
        parts = link.sources + others + (link,)
        alone = (link,)
        look = self._clock.now
        reason = None
        soonest = 0  # when a part is due, or `look_by`
        look_by = 0  # when to feed the watchdog at the latest; while it leaves: when that is over
        longest = 0  # as longest_ms, in the clock's milliseconds
        interrupted = heard = False
        while not link.stopped:
            try:
                now = looked = look()
                try:  # around all of them, as each that is entered takes time
                    # Who else is due is only looked at when it may be: that takes 9 k.
                    for each in parts if now >= soonest else alone:
                        due = each.due
                        # Whatever has run may have given the Link something to send.
                        if (due is not None and now >= due) or (heard and each is link):
                            each.run(now)
                            heard = True
                            # Where this step ends the next one begins.
                            took = look() - looked
                            looked += took
                            if took > longest:
                                longest = took
                                self.longest_ms = self._clock.real_ms(took)
                            due = each.due
                            if due is not None and due <= now:
                                raise RuntimeError(each)
                except Exception as error:  # noqa: BLE001 - the one place for what nobody expected
                    self.bug(error)
                    each.due = now + _PAUSE_MS
                    heard = each is not link
                    continue  # with those behind it
                if now >= soonest:
                    if reason is None:
                        look_by = now + _LONGEST_WAIT_MS
                        reason = "shutdown" if interrupted else None
                        for each in asked:
                            reason = reason or each.wish
                        if reason is not None:
                            link.stop(now, reason)
                            parts = link.sources + alone
                    elif now >= look_by:
                        break
                    stuck = None  # the name of a part that has left undone what was due
                    for name, each in watched:
                        if stuck is None and each.overdue(now):
                            stuck = name
                    if stuck != self._stuck:
                        self._stuck = stuck
                        self._recovery.stuck(stuck)
                    if stuck is None or reason is not None:
                        watchdog.feed()
                soonest = look_by
                for each in parts:
                    due = each.due
                    if due is not None and due < soonest:
                        soonest = due
                heard = sleep(self._clock.real_ms(soonest - looked) if soonest > looked else 0)
            except KeyboardInterrupt:
                if interrupted:
                    break  # asked twice: the will says the rest
                interrupted = True
                soonest = 0
        for each in link.sources:
            try:
                each.save()
            except Exception as error:  # noqa: BLE001 - the others have something to keep, too
                self.bug(error)
        return reason

    def bug(self, error):
        """An exception that nobody expected."""
        self.bugs += 1
        self.last_bug = error
        self._recovery.bug(self._clock.now())
        self._log("node", "bug", self.bugs)
        sys.print_exception(error)
