"""Which Commands there are, as the firmware's own code says it, and what becomes of those that were
sent from here.
"""

from __future__ import annotations

import ast
import json
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Any

from limpet.shared import payloads
from limpet.shared.firmware import commands, errors
from limpet.shared.paths import FIRMWARE
from limpet.shared.plain import is_number
from limpet.shared.problem import Problem

TTL_S = 30
# After this a Response is not waited for: the Command has expired by then.
SILENT_S = TTL_S + 5
# Commands that are waited for.
MOST_OPEN = 200
# A page asks before it sends one of these: they interrupt what the node does.
INTERRUPTS = ("reboot",)
_CODE = 64


def actions() -> list[dict[str, Any]]:
    """Return what a node can be told to do: text, parameters with their bounds, and whether it
    changes anything.
    """
    return [_action(name) for name in commands.TABLE]


def _action(name: str) -> dict[str, Any]:
    tree = ast.parse((FIRMWARE / "node" / "commands" / f"{name}.py").read_text("utf-8"))
    text = str(ast.get_docstring(tree)).splitlines()[0].partition(": ")[2]
    handler, _ = _loaded(name)
    params = [
        {
            "name": each,
            "type": "whole",
            "least": low,
            "most": high,
            "default": default,
            "unit": "s" if each.rpartition("_")[2] in ("seconds", "s") else "",
            "needed": default is None,
            "text": "",
        }
        for each, (low, high, default) in handler.items()
    ]
    return {
        "action": name,
        "text": text,
        "params": params,
        "writes": name not in commands.HARMLESS,
        "confirm": name in INTERRUPTS,
    }


def _loaded(name: str) -> tuple[dict[str, tuple[int, int, int | None]], Any]:
    module = __import__(f"node.commands.{name}", None, None, (name,))
    return module.PARAMS, getattr(module, name)


def command(action: Any, params: Any, ttl_s: int = TTL_S) -> tuple[str, bytes]:
    """Return the id and the payload of a Command. ttl_s: how long it counts by the node's clock; 0:
    for ever. Raises Problem where no node would carry it out
    for what is in it.
    """
    known = f"There is: {', '.join(commands.TABLE)}."
    if not isinstance(action, str) or action not in commands.TABLE:
        raise Problem("That is no Command.", known)
    if not isinstance(params, dict):
        raise Problem("params is no object.", 'Such as {"seconds": 5}.')
    try:
        commands.load(action, params)
    except errors.CommandError as error:
        raise Problem(f"{action}: {payloads.safe(error.code)}.", f"{error.text}.") from None
    request = secrets.token_hex(4)
    body = {"id": request, "action": action, "params": params, "ts": int(time.time())}
    if ttl_s:
        body["ttl"] = ttl_s
    return request, json.dumps(body, separators=(",", ":")).encode()


@dataclass
class _Open:
    device: str
    base: str
    sent: float


class Requests:
    """The Commands that were sent from here, until their Response is there, or nobody waits for it
    any more. Used by two threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._ended: list[dict[str, Any]] = []

    def begin(self, request: str, device: str, base: str) -> None:
        """Wait for the Response of a Command. Raises Problem where too many are waited for."""
        with self._lock:
            if len(self._open) >= MOST_OPEN:
                raise Problem("Too many Commands wait for a Response.", "Wait for some of them.")
            self._open[request] = _Open(device, base, time.monotonic())

    def forget(self, request: str) -> None:
        """It was not sent."""
        with self._lock:
            self._open.pop(request, None)

    def heard(self, topic: str, said: dict[str, Any]) -> None:
        """Take a Response."""
        request, now = said.get("id"), time.monotonic()
        with self._lock:
            found = self._open.get(request) if isinstance(request, str) else None
            if found and topic.startswith(f"{found.base}/"):
                del self._open[str(request)]
                self._ended.append(_frame(str(request), found, now, said))

    def ended(self) -> list[dict[str, Any]]:
        """Return what has ended since the last time, as the browser gets it."""
        now = time.monotonic()
        with self._lock:
            for request, found in list(self._open.items()):
                if now - found.sent > SILENT_S:
                    del self._open[request]
                    self._ended.append(_frame(request, found, now, {"status": "silent"}))
            ended, self._ended = self._ended, []
        return ended


def _frame(request: str, found: _Open, now: float, said: dict[str, Any]) -> dict[str, Any]:
    result = said.get("result")
    return {
        "t": "response",
        "id": found.device,
        "request": request,
        "status": payloads.word(said.get("status", "?"))[:_CODE],
        "took_ms": round((now - found.sent) * 1000),
        "result": result if isinstance(result, dict) else None,
        "code": payloads.word(said["code"])[:_CODE] if "code" in said else None,
        "text": payloads.word(said.get("text", ""))[:300],
        "ts": said.get("ts") if is_number(said.get("ts")) else None,
    }
