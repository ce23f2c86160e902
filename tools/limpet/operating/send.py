"""`limpet send`: one Command to one device, and the Response it gives.

The exit code says how it went, so that scripts need not read. No Command is repeated by itself: the
same `--id` again asks for the Response without carrying it out twice.
"""

import ast
import json
import secrets
import sys
import time
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.node_host import traces
from limpet.operating.inbox import Inbox
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.shared import payloads
from limpet.shared.firmware import commands, parse
from limpet.shared.numbers import Seconds, SecondsOrNone
from limpet.shared.paths import FIRMWARE
from limpet.shared.plain import is_number, safe
from limpet.shared.problem import Problem

# 1 is a Problem (cli.py), 2 wrong usage (the command line's library).
CODES = {"executed": 0, "rejected": 3, "failed": 4, "expired": 5}
SILENCE = 6
USAGE = 2
# So much may the device's clock be behind ours: it is set once a day.
CLOCKS_S = 3
TABLE = commands.TABLE


def parse_params(words: tuple[str, ...]) -> dict[str, Any]:
    """Return `key=value` words as params: a value is JSON where it parses, else a string."""
    params = {}
    for text in words:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise Problem(f"{text!r} is not key=value.", "Such as seconds=30.")
        try:
            params[key] = json.loads(value, parse_constant=_not_json)
        except (ValueError, RecursionError):
            params[key] = value
    return params


def _not_json(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity: Python reads them, JSON has them not


def _actions() -> list[str]:
    """Return a line for each action: what its file in the firmware says of itself."""
    texts = [(FIRMWARE / "node" / "commands" / f"{name}.py").read_text("utf-8") for name in TABLE]
    return [f"  {str(ast.get_docstring(ast.parse(text))).splitlines()[0]}" for text in texts]


def _await_response(
    inbox: Inbox[Arrival], base: str, request: str, deadline: float
) -> tuple[dict[str, Any] | None, str]:
    """Return the Response to `request`, None at the deadline, and the device's last status."""
    status = "no status was ever published"
    while (left := deadline - time.monotonic()) > 0:
        arrival = inbox.get(left)
        message = payloads.decode(arrival.payload) if arrival else None
        if arrival is None or message is None:
            continue
        if arrival.topic == f"{base}/status":
            status = payloads.status_text(message)
        elif message.get("id") == request and not arrival.retained:
            return message, status
    return None, status


def _remembered(response: dict[str, Any], sent: int) -> bool:
    """Whether it was made before the Command was `sent`: the device has answered from memory.

    A Response from memory is the old one byte for byte, with the time at which it was made.
    """
    made: Any = response.get("ts")
    old: bool = is_number(made) and made < sent - CLOCKS_S
    return old or response.get("result") == {"kept": False}


def _is_id(text: str) -> bool:
    """Whether a node reads that as a Command's id: what it does not, it can answer nothing to."""
    payload = json.dumps({"id": text, "action": "ping"}, ensure_ascii=False).encode()
    return bool(parse.parse(payload, "").id == text)


def _before(response: dict[str, Any], sent: int) -> bool:
    """Whether it was made in a second before the Command was `sent`, by the device's clock."""
    made: Any = response.get("ts")
    return is_number(made) and bool(made < sent)


def _report(response: dict[str, Any], took_ms: float, sent: int | None) -> int:
    """Print a Response and return the exit code it means. sent: when, of an id that may be old."""
    status = payloads.word(response.get("status", "?"))
    print(f"{status} in {took_ms:.0f} ms, id {payloads.word(response['id'])}")
    when = payloads.clock(response.get("ts")) or "?"
    if sent is not None and _remembered(response, sent):
        print(f"from memory (the Response is of {when}): it was not carried out again")
    elif sent is not None and _before(response, sent):
        print(
            f"perhaps from memory, and not carried out again: the Response is of {when}, before "
            "the Command, or the device's clock is slow"
        )
    if "code" in response:
        print(f"{payloads.word(response['code'])}: {payloads.word(response.get('text', ''))}")
    elif response.get("result"):
        print(traces.readable(payloads.result_text(response["result"])))
    return CODES.get(status, CODES["failed"])


def _ask(
    where: Where, device: str, command: dict[str, Any], timeout_s: float, sent: int | None
) -> int:
    inbox: Inbox[Arrival] = Inbox()
    with OperatorClient(where, inbox.put, device=device) as client:
        base = client.info.bases[device]
        client.connect()
        # Granted before the Command goes out: its Response cannot be missed.
        client.subscribe([f"{base}/commands/response/#", f"{base}/status"])
        start = time.monotonic()
        payload = json.dumps(command, separators=(",", ":"), ensure_ascii=False).encode()
        client.publish(f"{base}/commands", payload)
        response, status = _await_response(inbox, base, command["id"], start + timeout_s)
    if response is not None:
        return _report(response, (time.monotonic() - start) * 1000, sent)
    print(
        f"limpet: no Response from {device} in {timeout_s:g} s. Its status: {status}.",
        file=sys.stderr,
    )
    return SILENCE


def send(
    device: str,
    action: Annotated[str | None, Parameter(help=f"What it is to do: {', '.join(TABLE)}.")] = None,
    /,
    *params: str,
    timeout: Seconds = 10,
    ttl: SecondsOrNone = 60,
    id: str | None = None,
    where: Where | None = None,
) -> int:
    """Send a Command and print the Response.

    Exit code: 0 executed, 3 rejected, 4 failed, 5 expired, 6 no Response in time;
    1 not sent, 2 wrong usage.

    Parameters
    ----------
    device
        Id of a device of the fleet, or of a `limpet run` that is running.
    params
        key=value, the value as JSON where it is JSON: `seconds=30`.
    timeout
        Seconds to wait for the Response.
    ttl
        Seconds after which the device answers `expired`; 0: never, for one whose clock is not set.
    id
        Id of the Command [default: random]. The same id again is answered from memory.
    """
    if action is None:
        print(f"limpet: There is no ACTION for {device}. Say one of these:", file=sys.stderr)
        print(*_actions(), sep="\n", file=sys.stderr)
        return USAGE
    if id is not None and not _is_id(id):
        raise Problem(
            f"--id {safe(id)!r}: no device answers to that.",
            f"Give 1 to {parse.ID_MAX} letters, digits and signs of ASCII.",
        )
    command: dict[str, Any] = {
        "id": id or secrets.token_hex(4),
        "action": action,
        "params": parse_params(params),
    }
    command["ts"] = int(time.time())
    if ttl:
        command["ttl"] = ttl
    sent = command["ts"] if id else None
    return _ask((where or Where()).settled(device, tell=True), device, command, timeout, sent)
