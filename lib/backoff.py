"""How long to wait before trying again: full jitter, counted apart for each class of failure.

The wait is drawn evenly from nothing up to a ceiling that doubles from `first_ms` to `cap_ms`, so
that a thousand clients thrown out by one restart do not come back in step: from 2 s their peak is
less than a tenth of what it would be without (`limpet bench --only storm`). A class may have a
floor: what a person has to mend (a wrong password, an expired certificate) is not worth asking
about every second.

It neither sleeps nor reads a clock. Randomness is passed in.
"""


class Backoff:
    """Counts attempts by class. `attempts` may be saved and put back, so that a reset does not
    start a storm.
    """

    def __init__(self, random, first_ms=2000, cap_ms=60000, floors_ms=None, attempts=None):
        """`random()` is evenly in [0, 1). `floors_ms` maps a class of failure to the least wait in
        ms. `attempts` are those of an earlier life; what cannot be a count is left out.
        """
        self._random = random
        self._first_ms = first_ms
        self._cap_ms = cap_ms
        self._floors_ms = floors_ms or {}
        self.attempts = {}
        for kind, count in (attempts or {}).items():
            if type(count) is int and 0 <= count <= 20:
                self.attempts[kind] = count

    def resume_ms(self):
        """Milliseconds to wait before the first try: none, unless `attempts` were put back."""
        count = max(self.attempts.values()) if self.attempts else 0
        return int(self._random() * min(self._cap_ms, self._first_ms << count)) if count else 0

    def next_ms(self, kind):
        """One more failure of class `kind`: milliseconds to wait, floor to floor + ceiling."""
        count = self.attempts.get(kind, 0)
        ceiling = self._cap_ms
        if count < 20:  # beyond that the shift is over any cap, and would only make long integers
            self.attempts[kind] = count + 1
            ceiling = min(ceiling, self._first_ms << count)
        return self._floors_ms.get(kind, 0) + int(self._random() * ceiling)

    def rested(self, up_ms):
        """What was up for `up_ms` has earned trust: every full minute halves the counts."""
        halvings = min(up_ms // 60000, 20)
        for kind in self.attempts:
            self.attempts[kind] >>= halvings
