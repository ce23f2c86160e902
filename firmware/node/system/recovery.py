"""Recovery: resets only what is proven stuck, one level at a time.

    1. TCP         the Link does that by itself, each time
    2. Wi-Fi       joined again when there seems to be a network, but for 10 minutes nothing in it
                   answered; at most once an hour in the end
    3. soft reset  of the interpreter, for what is wrong inside the node: `memory` (no TLS for want
                   of it), `driver` (Wi-Fi raises), `bugs` (10 within an hour)
    4. hard reset  when that did not help

What goes on although a part is stuck is for the watchdog (see supervisor.py). A broker or an access
point that is gone, for however long, is no proof against the node and never leads beyond level 2. A
node that no reset helps waits longer for each, up to 10 hours.

It resets nothing by itself: it says what for, and main does, so that everybody can leave in order.
"""

from micropython import const

# From somewhere in the network somebody must have answered for any other cause.
_SILENCE = ("dns", "tcp-unreachable", "tcp-timeout")
_MEMORY = "memory"
_DRIVER = "driver"
_BUGS = "bugs"
_PROOF_MS = const(600_000)
_REJOIN_MAX_MS = const(3_600_000)
_MEMORY_TRIES = const(3)
_TOO_MANY = const(10)
_BUGS_MS = const(3_600_000)
_CURED_MS = const(600_000)  # up for so long, no count of resets or tries is needed
_AT_ONCE = const(3)  # resets in a row before the first pause: three early ones lead to safe mode
_PAUSES = const(6)  # 10 min << 6 is 10 h 40 min
_LOOK_MS = const(10_000)


class Recovery:
    """Told by the Link how it fares (`up`, `down`), by the supervisor of bugs and stuck parts.

    network: has `cause` and `rejoin(now)`. crashes: see crashes.py. backoff: says when the Link
    tries again. `downs`: cause -> how often the Link went down for it.
    """

    def __init__(self, network, rtc_state, crashes, backoff, log):
        self._network = network
        self._rtc_state = rtc_state
        self._crashes = crashes
        self.backoff = backoff
        self.downs = {}
        self._log = log
        self._resets = rtc_state.get("resets", 0)
        self._up_at = self._cause = None  # _cause: what began the outage
        self._silent_from = self._memory_from = self._driver_from = None
        self._rejoin_ms = _PROOF_MS
        self._rejoins = self._memory_tries = self._bugs = self._bugs_from = self._down_since = 0
        self.wish = None  # what the node has to be reset for
        self.due = 0

    def up(self, now):
        """The Link is up. Returns what the birth tells of the outage before it (dict), or None."""
        self._up_at = now
        outage = self._cause and {"s": (now - self._down_since) // 1000, "cause": self._cause}
        self._cause = None
        if outage and self._rejoins:
            outage["rejoins"] = self._rejoins
        self._rejoins = self._memory_tries = 0
        self._answered()
        return outage

    def down(self, now, cause, kind):
        """The Link is down, or has tried in vain; `kind` of failure, for the backoff. Returns
        after how many ms it is to try again.
        """
        if self._up_at is not None:
            self.backoff.rested(now - self._up_at)
            self._up_at = None
            self._down_since = now
        self._cause = self._cause or cause
        downs = self.downs
        downs[cause] = downs.get(cause, 0) + 1
        if cause == _MEMORY:
            if not self._memory_tries:
                self._memory_from = now
            self._memory_tries += 1
        else:
            self._memory_tries = 0
        if cause not in _SILENCE:
            self._answered()
        elif self._silent_from is None:
            self._silent_from = now
        elif now - self._silent_from >= self._rejoin_ms:
            self._log("node", "rejoin silent_s=%d" % ((now - self._silent_from) // 1000))
            self._network.rejoin(now)
            self._rejoins += 1
            self._silent_from = None
            self._rejoin_ms = min(2 * self._rejoin_ms, _REJOIN_MAX_MS)
        retry_ms = self.backoff.next_ms(kind)
        self._rtc_state.put("attempts", dict(self.backoff.attempts))
        return retry_ms

    def _answered(self):
        self._silent_from = None
        self._rejoin_ms = _PROOF_MS

    def bug(self, now):
        """An exception that nobody expected; a single one now and then is forgiven."""
        if now - self._bugs_from > _BUGS_MS:
            self._bugs = 0
        if not self._bugs:
            self._bugs_from = now
        self._bugs += 1

    def stuck(self, part):
        """`part` makes no progress, or None: all do again. Should the watchdog bite, it was it."""
        self._log("node", "stuck part=%s" % part)
        self._crashes.stuck = part is not None
        self._rtc_state.put("why", part)

    def run(self, now):
        """Look at the proofs."""
        if self._up_at is not None and now - self._up_at >= _CURED_MS:
            self._resets = 0
            self._rtc_state.put("resets", None)
            self._rtc_state.put("attempts", None)
        if self._network.cause != _DRIVER:
            self._driver_from = None
        elif self._driver_from is None:
            self._driver_from = now
        self.wish = None
        if self._resets < _AT_ONCE or now >= _PROOF_MS << min(self._resets - _AT_ONCE, _PAUSES):
            self.wish = self._proof(now)
        self.due = now + _LOOK_MS

    def _proof(self, now):
        if self._bugs >= _TOO_MANY:
            return _BUGS
        if self._memory_tries >= _MEMORY_TRIES and now - self._memory_from >= _PROOF_MS:
            return _MEMORY
        if self._driver_from is not None and now - self._driver_from >= _PROOF_MS:
            return _DRIVER
        return None

    def leave(self, reason, error=None):
        """The node leaves for `reason`, whoever asked; `error` is its last bug.

        Keeps that for the next birth. Returns whether the reset has to be a hard one; None: no
        reset.
        """
        self._crashes.ended(reason, error)
        if reason == "shutdown":
            return None
        self._rtc_state.put("why", reason)
        if reason not in (_BUGS, _MEMORY, _DRIVER):
            return True
        resets = self._resets
        self._rtc_state.put("resets", min(resets + 1, _AT_ONCE + _PAUSES))
        return resets > 0
