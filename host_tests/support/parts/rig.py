"""A router with hand-written neighbours, for cases that run under both Pythons.

They are stricter than the real ones: a Response that leaves the device's own topics, is no JSON or
has not exactly its members fails at once; so does a second one to the same message.
"""

import io
import json

from node.config import written
from node.config.settings import values
from node.session.router import Router
from support.parts.layouts import PACKED

BASE = "limpet/home/desk/climate/node-1"
TOPIC = BASE + "/commands"
HOME = BASE + "/commands/response"
NOW_S = 1_780_000_000


class Flash:
    """Files in a dict; `full` makes each replace fail."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.full = False
        self.writes = 0

    def read(self, path, how=None):  # type: ignore[no-untyped-def]
        """Return the file or what how(file) returns, or None when there is none."""
        data = self.files.get(path)
        return data if data is None or how is None else how(io.BytesIO(data))

    def replace(self, path: str, *pieces: bytes) -> None:
        """Make `pieces` the file, unless full."""
        if self.full:
            raise OSError(28, "no space")
        self.files[path] = b"".join(pieces)
        self.writes += 1


def changed(text: "str | bytes", interval_s: int) -> bytes:
    """Return settings with another interval, as the node writes them."""
    flash, path = Flash(), "settings.json"
    flash.files[path] = text if isinstance(text, bytes) else text.encode()
    own = values({"version": json.loads(text).get("version", 1)}, path)
    written.change(own, "interval_s", interval_s, flash.read, flash.replace)
    return flash.files[path]


class Node:
    """What handlers may ask for; `did` is what they asked, in order."""

    def __init__(self) -> None:
        self.did: list[object] = []
        self.snapshot: dict[str, object] = {"up": 5, "reads": 3}
        self.fault: Exception | None = None
        self.callbacks: list = []
        self.encode = PACKED
        self.sampler = self
        self.pace_ms = 2000

    def _do(self, what: object) -> None:
        if self.fault:
            raise self.fault
        self.did.append(what)

    def status(self) -> dict[str, object]:
        """Return the health snapshot."""
        self._do("status")
        return self.snapshot

    def set_interval(self, seconds: int) -> None:
        """Take a new interval."""
        self._do(("set_interval", seconds))

    def identify(self, seconds: int) -> None:
        """Blink."""
        self._do(("identify", seconds))

    def reboot(self) -> None:
        """Ask for a reset."""
        self._do("reboot")

    def read_now(self, callback) -> None:  # type: ignore[no-untyped-def]
        """Promise a Reading."""
        self._do("read_now")
        self.callbacks.append(callback)


class Rig:
    """A router over a flash that outlives it: `reset()` makes a new one."""

    def __init__(self, refuse_retained: bool = True) -> None:
        self.flash = Flash()
        self.node = Node()
        self.now_s: int | None = NOW_S
        self.responses: list[tuple[str, bytes]] = []
        self.free = 99
        self.lines: list[str] = []
        self.bugs: list[Exception] = []
        self.refuse_retained = refuse_retained
        self.reset()

    def reset(self) -> None:
        """Lose all that is not on flash."""
        self.router = Router(
            BASE,
            self.node,
            self,
            self.flash,
            (lambda: self.now_s, self.log, self.bugs.append, self.refuse_retained),
        )

    def room(self, count: int, size: int) -> bool:
        """Whether so many Responses of that size fit."""
        return self.free >= count

    def put(self, topic: str, payload: bytes) -> int:
        """Take a Response, as the outbox does."""
        assert topic == HOME or topic.startswith(HOME + "/"), topic
        response = json.loads(payload)
        extra = {"result"} if response["status"] == "executed" else {"code", "text"}
        assert set(response) == {"v", "id", "status", "ts"} | extra, payload
        self.responses.append((topic, payload))
        return len(self.responses)

    def log(self, area: str, words: str) -> None:
        """Take a line of the log."""
        assert area == "command"
        self.lines.append(words)

    def raw(self, payload: bytes, topic: str = TOPIC, retained: bool = False) -> dict:
        """Give the node a payload; return its Response, or {} when there is none."""
        before = len(self.responses)
        self.router.on_message(topic, payload, retained, False)
        assert len(self.responses) - before <= 1, payload
        return json.loads(self.responses[-1][1]) if len(self.responses) > before else {}

    def send(self, id: str, action: str, **members: object) -> dict:
        """Give the node a Command; return its Response, or {} when there is none."""
        # In this order: MicroPython's dict has none, and an id is found only before a fault.
        text = f'{{"id":{json.dumps(id)},"action":{json.dumps(action)}'
        for name, value in members.items():
            text += f',"{name}":{json.dumps(value)}'
        return self.raw((text + "}").encode())

    def code(self, payload: bytes) -> str | None:
        """Give the node a bad payload; return the code of its `rejected`, or None when dropped."""
        response = self.raw(payload)
        assert not response or response["status"] == "rejected", response
        return response.get("code")
