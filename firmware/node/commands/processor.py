"""Command in, exactly one Response out. The Response is made here and nowhere else.

    payload -> parse -> known id? -> in time? -> known action, good params
            -> id on flash -> handler -> Response on flash -> Response

A fault found in the first line is `rejected` (or `expired`) and remembered in RAM; what comes after
is `executed` or `failed` and remembered on flash too, but for Commands that change nothing. Without
a readable id, or room for a Response: dropped and counted. Nothing that changes anything is carried
out twice. Pure: clock and flash are passed in.
"""

from node.commands import HARMLESS, TABLE, load
from node.commands.parse import parse
from node.commands.response import EXECUTED, EXPIRED, FAILED, REJECTED, executed, refused
from node.commands.response_cache import RESPONSE_MAX, ResponseCache, found, keep
from node.shared.errors import CommandError

OPEN_MAX = 4
OPEN_TIMEOUT_MS = 10000
IDLE_MS = 60000


class CommandProcessor:
    """What router.py imports when a Command comes, and lets go of again; its arguments are
    the router's.

    retained: whether retained ones are refused. drop(reason): counts and logs a payload that gets
    no Response. router: who calls `run`. refused: the ids and Responses of refused Commands, a list
    that outlives this object.
    """

    def __init__(
        self, base, node, responses, flash, unix, log, on_bug, retained, drop, router, refused
    ):
        self._base = base
        self._node = node
        self._responses = responses
        self._cache = ResponseCache("own/commands", flash.read, flash.replace)
        # Apart from the executed ones, so that a flood of bad Commands pushes none of those out.
        self._refused = refused
        # Of Commands that change nothing; gone with this object.
        self._harmless = []
        self._unix = unix
        self._log = log
        self._on_bug = on_bug
        self._refuse_retained = retained
        self._drop = drop
        self._router = router
        self.due = 0
        # Commands whose result comes later: [command, deferred, deadline or None].
        self._open = []

    @property
    def idle(self):
        """Whether nothing here would be lost: no result is awaited, and flash has all Responses."""
        return not self._open and self._cache.kept

    def take(self, payload, retained):
        """Answer a Command (bytes), at once or in a later `run`."""
        command = parse(payload, self._base)
        if command.id is None:
            self._drop(command.fault[0])
        elif not self._responses.room(1 + len(self._open), RESPONSE_MAX):
            # No Response that waits to be sent makes way for another one.
            self._drop("no-room")
        else:
            self._take(command, retained)

    def run(self, now):
        """Answers what has its result or no time left."""
        self.due = now + IDLE_MS
        for entry in list(self._open):
            command, deferred, deadline = entry
            if deadline is None:
                entry[2] = deadline = now + OPEN_TIMEOUT_MS
            if now >= deadline:
                deferred.failed(*_told("timeout", OPEN_TIMEOUT_MS // 1000))
            if deferred.outcome is None:
                self.due = min(self.due, deadline)
            else:
                self._open.remove(entry)
                self._finish(command, deferred.outcome)

    def _take(self, command, retained):
        if any(entry[0].id == command.id for entry in self._open):
            return self._drop("pending")  # its one Response is still to come
        response = found(self._refused, command.id) or found(self._harmless, command.id)
        if response or command.id in self._cache:
            return self._put(command, response or self._remembered(command.id), "repeated")
        status, fault = REJECTED, command.fault
        if not fault and retained and self._refuse_retained:
            fault = ("retained",)
        if not fault and command.ttl is not None:
            status, fault = self._in_time(command)
        if not fault:
            try:
                handler, params = load(command.action, command.params)
            except CommandError as exc:
                return self._refuse(command, status, exc.code, exc.text)
            except Exception as exc:  # noqa: BLE001 - a file that cannot be imported
                status, fault = FAILED, (self._bug(exc),)
        if fault:
            self._refuse(command, status, *_told(*fault))
        else:
            self._execute(command, handler, params)
        return None

    def _in_time(self, command):
        now_s = self._unix()
        if now_s is None:
            return REJECTED, ("clock-not-set",)
        if now_s > command.ts + command.ttl:
            return EXPIRED, ("expired", now_s - command.ts - command.ttl)
        return REJECTED, None

    def _execute(self, command, handler, params):
        if command.action not in HARMLESS:
            try:
                self._cache.begin(command.id)
            except OSError:
                return self._refuse(command, FAILED, *_told("flash"))
        outcome = self._run(handler, params)
        if not isinstance(outcome[0] or {}, dict):  # a Deferred: see deferred.py
            if len(self._open) < OPEN_MAX:
                outcome[0].waiter = self._router
                return self._open.append([command, outcome[0], None])
            outcome = (None,) + _told("busy", OPEN_MAX)
        return self._finish(command, outcome)

    def _run(self, handler, params):
        """Outcome of a handler: (result or Deferred, None, None) or (None, code, text)."""
        try:
            return handler(params, self._node), None, None
        except CommandError as exc:
            return None, exc.code, exc.text
        except Exception as exc:  # noqa: BLE001 - a bug in one handler must not cost the Response
            return (None,) + _told(self._bug(exc))

    def _bug(self, exc):
        """The code of what nobody expected; what is no want of memory is told of as a bug."""
        if isinstance(exc, MemoryError):
            return "memory"
        self._on_bug(exc)
        return "internal"

    def _finish(self, command, outcome):
        """Answers a Command that was begun: on flash first, as a reset may follow."""
        result, code, text = outcome
        ts = self._unix()
        status = FAILED if code else EXECUTED
        if code:
            payload = refused(command.id, FAILED, code, text, ts)
        else:
            payload = executed(command.id, result, ts)
        kept = payload
        if len(payload) > RESPONSE_MAX:
            kept = executed(command.id, {"kept": False}, ts)
            if not self._responses.room(1, len(payload)):
                payload = kept
        if command.action in HARMLESS:
            keep(self._harmless, command.id, kept)
        else:
            try:
                self._cache.finish(command.id, kept, code is not None)
            except (OSError, MemoryError) as exc:
                # A repeat is answered from RAM; after a reset it would be `interrupted`.
                errno = getattr(exc, "errno", "memory")
                self._log("command", "response not on flash errno=%s" % errno)
        self._put(command, payload, status)

    def _refuse(self, command, status, code, text):
        payload = refused(command.id, status, code, text, self._unix())
        keep(self._refused, command.id, payload)
        self._put(command, payload, status)

    def _remembered(self, id):
        response = self._cache.response(id)
        if response:
            return response
        failed, ts = self._cache.failed(id), self._unix()
        if failed is False:
            return executed(id, {"kept": False}, ts)
        code, text = _told("forgotten" if failed else "interrupted")
        return refused(id, FAILED, code, text, ts)

    def _put(self, command, payload, status):
        self._responses.put(command.reply_to, payload)
        # A space in an id could pass for the next field of the line.
        id = command.id.replace(" ", "_")
        action = command.action if command.action in TABLE else "?"
        self._log("command", "id=%s action=%s status=%s" % (id, action, status))


def _told(code, *values):
    """(code, text): where there is no room for the words, the code alone."""
    try:
        from node.commands.texts import told

        return told(code, *values)
    except MemoryError:
        return code.split(" ")[0], ""
