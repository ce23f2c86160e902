"""Targets that are what a Message carries: Commands, statuses, JSON."""

import json

from support.fuzz.common import BASE, CPYTHON, JSON_TOKENS, NOW_S
from support.parts.due import given, run_due
from support.parts.rig import Flash


class Command:
    """The router with all its Commands, behind node/commands/parse.py and strictjson.py."""

    heap, per_byte, kept = 12288, 8, 8192
    size_max = 1100
    samples = (
        b'{"v":1,"id":"req-1","action":"set_interval","params":{"seconds":30},"ts":1780000000,'
        b'"ttl":60,"reply_to":"limpet/home/desk/climate/node-1/commands/response/me"}',
        b'{"id":"a\\u0042\xc3\xa4","action":"identify","params":{"seconds":3}}',
        b'{"id":"g","action":"get_status"}',
        b' {"id":"r","action":"read_now","params":{}} ',
        b'{"id":"b","action":"reboot","ts":1}',
        b'[{"id":1},"action"]',
        b'{"id":"p","action":"ping","params":{"x":[[1,-2.5e3],{"y":null}]}}',
    )
    tokens = (
        JSON_TOKENS
        + b"ping reboot set_interval seconds params action reply_to / get_status".split()
    )

    def __init__(self) -> None:
        from node.session.router import Router

        self._bugs: list = []
        self._responses = 0
        flash = Flash()
        self._files, self.read, self.replace = flash.files, flash.read, flash.replace
        how = (lambda: NOW_S, self._log, self._bugs.append, True)
        self._router = Router(BASE, self, self, self, how)
        # Imports what answers, once for all.
        self._router.on_message(BASE + "/commands", b"", False, False)

    # What handlers ask for.

    pace_ms = 2000

    @property
    def sampler(self) -> "Command":
        """What says how fast the sensors can be read."""
        return self

    def status(self) -> dict:
        """Return a snapshot."""
        return {"up": 5, "reads": 3}

    def set_interval(self, seconds: int) -> None:
        """Take nothing but what the rules allow."""
        if type(seconds) is not int or not 2 <= seconds <= 86400:
            raise AssertionError("interval")

    def identify(self, seconds: int) -> None:
        """Take nothing but whole seconds."""
        if type(seconds) is not int or not 0 < seconds < 3600:
            raise AssertionError("seconds")

    def reboot(self) -> None:
        """Do nothing."""

    def read_now(self, callback) -> None:  # type: ignore[no-untyped-def]
        """Never answer."""

    def room(self, count: int, size: int) -> bool:
        """There always is."""
        return True

    def put(self, topic: str, payload: bytes) -> None:
        """Take a Response, which must be to us and JSON."""
        self._responses += 1
        home = BASE + "/commands/response"
        if not (topic == home or topic.startswith(home + "/")) or len(payload) > 1024:
            raise AssertionError("response")
        if payload[:12] != b'{"v":1,"id":' or payload[-1:] != b"}":
            raise AssertionError("response")

    def _log(self, area: str, words: str) -> None:
        pass

    def heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        """Give one message to the router: at most one Response, no bug, little on flash."""
        before = self._responses
        self._router.on_message(topic, payload, retained, dup)
        if self._bugs:
            raise self._bugs[0]
        if self._responses - before > 1 or len(self._files.get("own/commands.bin", b"")) > 5000:
            raise AssertionError("too much")
        if len(self._router.dropped) > 16:
            raise AssertionError("reasons")

    def feed(self, data: bytes) -> None:
        """Hear one Command, and let what is answered later run out of time."""
        if len(data) & 1:  # else most inputs are repeats
            processor = self._router._processor
            for entries in (processor._cache._entries, processor._refused, processor._harmless):  # type: ignore[union-attr]
                entries.clear()
            processor._cache._seen = bytearray()  # type: ignore[union-attr]
        self.heard(BASE + "/commands", data, False, False)
        run_due(self._router, 0)
        run_due(self._router, 10000)
        if self._bugs:
            raise self._bugs[0]


class Status:
    """status.py, which reads what anybody may have written on the node's own topic."""

    heap, per_byte, kept = 1024, 4, 2048
    size_max = 1500
    samples = (
        b'{"v":1,"status":"online","boot":7,"session":0,"fw":"0.1.0","reset":"hard",'
        b'"outage":{"s":73,"cause":"tls-timeout"}}',
        b'{"v":1,"status":"offline","boot":7,"session":3,"reason":"lost"}',
        b'{"v":1,"status":"online","boot":7,"session"' + b":" * 150 + b",",
        b"",
    )
    tokens = JSON_TOKENS + b'"boot":7 "session":0 online offline'.split()

    def __init__(self) -> None:
        from node.reporting.status import Status as Source

        self._source = Source(BASE, 7, lambda: 0, ())
        self._source.up(0, None)
        given(self._source, 0)
        self._source.sent(self._source.peek(0))

    def heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        """Give one message to the source."""
        self._source.on_message(topic, payload, retained, dup)

    def feed(self, data: bytes) -> None:
        """Hear one status; whatever it says, the birth comes at most every 10 s."""
        self.heard(BASE + "/status", data, True, False)
        run_due(self._source, 9999)
        if self._source.ready:
            raise AssertionError("birth too early")


class Json:
    """node/shared/strictjson.py alone, against CPython's json told to be as strict."""

    heap, per_byte, kept = 1024, 4, 2048
    size_max = 1100
    samples = Command.samples + Status.samples[:2]
    tokens = JSON_TOKENS

    def __init__(self) -> None:
        from node.shared.strictjson import Shape

        self._shape = Shape

    def feed(self, data: bytes) -> None:
        """Walk and load; whatever is let through is JSON, each key once."""
        shape = self._shape(data, len(data), 64, b"id")
        try:
            value = shape.load()
        except ValueError as error:
            if error.args[0] not in ("not-json", "too-complex", "duplicate-key"):
                raise AssertionError(error.args) from error
            return
        if CPYTHON and value != json.loads(
            data, object_pairs_hook=_each_key_once, parse_constant=_no_json
        ):
            raise AssertionError("another value")


def _each_key_once(pairs: list) -> dict:
    if len({name for name, _ in pairs}) != len(pairs):
        raise AssertionError("a key twice")
    return dict(pairs)


def _no_json(name: str) -> None:
    raise AssertionError(name)
