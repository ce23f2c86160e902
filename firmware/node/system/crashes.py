"""How often in a row the node has died young, and what of. After the third time it boots into safe
mode, in which what is left can still be asked.

A boot is young for 120 s. It has died when an exception ended it, when it gave up for its bugs, or
when it ended without a word: the watchdog, or a panic of the chip, which reports itself as a hard
reset. A power cut is nobody's fault and changes nothing. Flash is written when the node dies and
when it has recovered, and at no other time.

It keeps nothing that an exception quotes (see crash_report.py).
"""

from micropython import const
from node.shared.rtc_state import seal, unseal
from node.shared.version import VERSION

DEATHS = 3
SAFE_MODE = "safe-mode"  # the reason with which an hour in safe mode ends
_YOUNG_MS = const(120_000)
_SAFE_MS = const(3_600_000)
_LOOK_MS = const(60_000)


class Crashes:
    """The count and the last text, in the file `path`: read(path) -> bytes or None, replace(path,
    bytes) raising OSError. A file that is damaged counts as none.

    `safe`: whether this boot is one in safe mode.
    """

    def __init__(self, path, read, replace, rtc_state):
        self._path = path
        self._replace = replace
        self._rtc_state = rtc_state
        self.wish = None  # SAFE_MODE after an hour of it
        self.due = _YOUNG_MS
        self.safe = False
        self.stuck = False  # a young boot that is stuck does not come of age
        self._read = read
        self.count = self._kept()[0]

    def begin(self, cause):
        """A boot begins, after a reset of that cause (see device/power.py)."""
        if self._rtc_state.get("trial") and cause in ("watchdog", "hard"):
            why = self._rtc_state.get("why", "nothing known")
            text = "limpet %s\n%s reset, no exception, stuck: %s" % (VERSION, cause, why)
            self._keep(self.count + 1, text)
        self._rtc_state.put("trial", True)
        self.safe = self.count >= DEATHS

    def crashed(self, error):
        """The node ends for an exception. Returns whether flash has taken that."""
        try:
            from node.system.crash_report import report  # on use: it is not, in a good life

            text = report(error)
        except MemoryError:  # that of which the node dies, or what it has left
            text = type(error).__name__
        return self._keep(self.count + self._rtc_state.get("trial", False), text)

    def ended(self, reason, error=None):
        """The node ends by its own will; `error` is its last bug."""
        if reason == "bugs":
            self.crashed(error)
        elif self.safe and reason in ("reboot", SAFE_MODE):
            # One try: should the next boot die young as well, it is the third again.
            self._keep(DEATHS - 1, self._kept()[1])
        self._rtc_state.put("trial", None)

    def last(self):
        """The count and the text of the last crash (dict), for the Command get_crash."""
        return {"count": self.count, "crash": self._kept()[1] or None}

    def run(self, now):
        """Look whether the boot has come of age, and whether safe mode has lasted for an hour."""
        if not self.stuck and self._rtc_state.get("trial"):
            self._rtc_state.put("trial", None)
            if self.count and not self.safe:
                self._keep(0, self._kept()[1])
        if self.safe and now >= _SAFE_MS:
            self.wish = SAFE_MODE
        self.due = now + _LOOK_MS

    def _kept(self):
        """Count and text on flash; the text is not held in RAM, as hardly anybody asks for it."""
        try:
            body = unseal(self._read(self._path))
            return (body[0], body[1:].decode()) if body else (0, "")
        except (OSError, ValueError):  # UnicodeError is a ValueError
            return 0, ""

    def _keep(self, count, text):
        self.count = min(count, DEATHS)
        try:
            self._replace(self._path, seal(bytes((self.count,)) + text.encode()))
        except OSError:
            return False
        return True
