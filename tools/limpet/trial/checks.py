"""The checks of a board, each by itself: what the node has to do, as seen from the broker.

Each takes the Stage and what is known of the board, and returns its Outcomes; a check that finds
nothing wrong with silence would be none, so silence fails. Nothing here depends on which transport
the board is reached by.
"""

import secrets
import time
from collections.abc import Iterable
from math import inf
from typing import Any, Protocol

from limpet.shared.plain import is_number
from limpet.shared.seen_readings import measured
from limpet.trial.console import Memory, Published, Turns
from limpet.trial.outcome import Outcome, judged, unchecked
from limpet.trial.stage import Stage

INTERVAL_S = 2  # between Readings: the DHT22's own pace
READINGS = 5
# From a reset to the birth: Wi-Fi takes 3 to 20 s, a handshake 1 to 3 s on a chip, back-off more.
BIRTH_S = 90.0
OUTAGE_S = 5.0
# Long enough to be sure that the watchdog and nobody else has reset the board, which takes as long.
WATCHDOG_MS = 5000
# A node that has less left is near its end: a Command and a handshake take some 20 KB in turn.
HEAP_FREE = 8_000

# By the last word of a field's name. AM2302 datasheet; others that are on a desk are within it.
_RANGES = {"temperature": (-40.0, 80.0), "humidity": (0.0, 100.0)}
# What a Reading says beside what was measured.
_BOOKKEEPING = {"v", "boot", "seq", "ts", "up", "dt"}


class Board(Protocol):
    """The board that is tried, by its port (console.py)."""

    step_ms: int  # the longest step that its time budget allows
    look_s: float  # how long a node is watched

    def memory(self) -> Memory:
        """Stop the node as Ctrl-C does, and return what memory it leaves."""

    def commits(self, count: int) -> list[int]:
        """Return the microseconds of so many commits of one Reading to flash, each."""

    def publish(self, for_s: float, link_s: float) -> Published:
        """Have the client alone publish for so long, once it is up, within `link_s`."""

    def watch(self) -> None:
        """Start the node with a stopwatch around its sleep, see `turns`."""

    def turns(self) -> Turns | None:
        """Return what the stopwatch said last."""

    def largest(self, timeout_s: float) -> int | None:
        """Return the bytes of the longest free piece of the watched node's heap as it is now, or
        None when it has not said so within `timeout_s`; to be asked when the look is over.
        """

    def steps(self) -> dict[str, float]:
        """Return the milliseconds of the longest step of each part of the watched node, by name."""

    def hang(self, watchdog_ms: int) -> None:
        """Let nothing run until the watchdog bites, after `watchdog_ms`."""


def readings(stage: Stage, board: Board) -> Iterable[Outcome]:
    """Readings arrive, none is left out, and they are such as the sensors can give."""
    since = stage.mark()
    within_s = INTERVAL_S * READINGS * 2
    # Live ones overtake what was stored while the node was not up.
    stage.wait("telemetry", lambda _: len(stage.readings(since)) >= READINGS, within_s, since)
    found = stage.readings(since)
    if not found:
        yield _no_readings(stage)
        return
    seqs = {each.seq for each in found}
    whole = len(found) >= READINGS and len(seqs) == max(seqs) - min(seqs) + 1
    yield judged("Readings", whole, f"{len(found)} from seq {min(seqs)} on", f"{READINGS}")
    last = found[-1]
    good = [_good(name, value) for each in found for name, value in each.values.items()]
    yield judged("values", all(good), ", ".join(measured(last)), "-40 to 80 °C, 0 to 100 %")
    yield _sensors(stage.said("telemetry", since)[-1].fields)


def _sensors(message: dict[str, Any]) -> Outcome:
    """What is measured, by the names of a Reading's fields: whatever is no bookkeeping."""
    fields = [
        name
        for name, value in message.items()
        if name not in _BOOKKEEPING and (is_number(value) or isinstance(value, list))
    ]
    found = {"fields_found": float(len(fields))}
    return judged("sensors found", bool(fields), ", ".join(fields) or "none", figures=found)


def _no_readings(stage: Stage) -> Outcome:
    status = node_status(stage)
    errors = status.get("read_errors") or {}
    # By sensor: "no-response", and "outdoor:no-response" of one that has a name.
    silent = {name: times for name, times in errors.items() if name.endswith("no-response")}
    if status.get("reads") == 0 and silent:
        times = ", ".join(f"{name} {count}" for name, count in silent.items())
        return unchecked("Readings", f"no sensor answers ({times}): not wired?")
    return judged("Readings", False, f"none; errors {errors}")


def commands(stage: Stage, board: Board) -> Iterable[Outcome]:
    """Each Command gets its Response; the same id twice is carried out once."""
    asked: list[tuple[str, dict[str, Any]]] = [
        ("ping", {}),
        ("get_status", {}),
        ("get_crash", {}),
        ("identify", {"seconds": 1}),
        ("set_interval", {"seconds": INTERVAL_S}),
        ("read_now", {}),
    ]
    for action, params in asked:
        answer, took_s = stage.ask(action, params)
        status = answer.get("status") if answer else "no Response"
        if answer and action == "read_now" and status == "failed":
            yield unchecked(action, f"failed: {answer.get('code')}")
        else:
            yield judged(action, status == "executed", f"{status} in {took_s * 1000:.0f} ms")
    request = secrets.token_hex(4)
    first, _ = stage.ask("set_interval", {"seconds": INTERVAL_S}, request)
    again, _ = stage.ask("set_interval", {"seconds": INTERVAL_S}, request)
    yield judged("the same id again", first is not None and first == again, "the same Response")


def will(stage: Stage, board: Board) -> Iterable[Outcome]:
    """The broker says the will when the connection breaks, and the node comes back."""
    since = stage.mark()
    stage.throw_out()
    lost = stage.wait("status", lambda fields: fields.get("reason") == "lost", BIRTH_S, since)
    yield judged("will", lost is not None, "said" if lost else "silence")
    birth = stage.birth(BIRTH_S, since)
    took = f"{birth.at - lost.at:.1f} s later" if birth and lost else "it did not"
    yield judged("comes back", birth is not None, took, birth_limit(stage))


def outage(stage: Stage, board: Board) -> Iterable[Outcome]:
    """A broker that could not be reached for a while is found again, and no Reading is lost."""
    since = stage.mark()
    stage.cut(OUTAGE_S)
    birth = stage.birth(BIRTH_S, since)
    said = birth.fields.get("outage") if birth else None
    yield judged("outage", said is not None, f"{said}" if birth else "silence")
    if not birth or not stage.said("telemetry"):
        yield unchecked("no Reading lost", "there were none" if birth else "not connected")
        return
    yield _complete(stage, birth.fields["boot"], since)


def _complete(stage: Stage, boot: int, since: int) -> Outcome:
    """Whether every Reading of a boot between the first and the last one has arrived."""

    def missing(_: object = None) -> set[int]:
        seqs = stage.seqs(boot)
        return set(range(min(seqs), max(seqs) + 1)) - seqs if seqs else {0}

    # What was stored meanwhile comes after what is new, in batches.
    after = stage.mark()
    stage.wait("telemetry", lambda _: True, INTERVAL_S * 3, after)
    stage.wait("telemetry", lambda fields: not missing(fields), INTERVAL_S * 10, since)
    lost = len(missing())
    return judged("no Reading lost", not lost, f"{len(stage.seqs(boot))} arrived, {lost} not")


def steps(stage: Stage, board: Board) -> Iterable[Outcome]:
    """No step of the main loop has taken longer than the board's time budget."""
    status = node_status(stage)
    longest = status.get("longest_step_ms")
    good = isinstance(longest, int) and longest <= board.step_ms
    step, limit = _figure(status, "longest_step_ms"), f"{board.step_ms} ms"
    yield judged("longest step", good, f"{longest} ms", limit, step)
    yield judged("bugs", status.get("bugs") == 0, str(status.get("bugs")), "0")
    shake = _figure(status, "handshake_ms")
    yield judged("handshake", bool(shake), f"{status.get('handshake_ms')} ms", figures=shake)


def _figure(status: dict[str, Any], name: str) -> dict[str, float]:
    """A figure of the same name as what health calls it; none where it is not told."""
    value = status.get(name)
    return {name: float(value)} if value is not None and is_number(value) else {}


def reboot(stage: Stage, board: Board) -> Iterable[Outcome]:
    """A reboot is answered first and carried out then."""
    since = stage.mark()
    answer, _ = stage.ask("reboot")
    answered = time.monotonic()
    birth = stage.birth(BIRTH_S, since) if answer else None
    reset = birth.fields.get("reset") if birth else "silence"
    took = f"reset={reset}, birth {birth.at - answered:.1f} s later" if birth else "silence"
    yield judged("reboot", reset == "hard", took)


def memory(stage: Stage, board: Board) -> Iterable[Outcome]:
    """There is heap left, the interpreter's and the IDF's; the node says goodbye when stopped."""
    status = node_status(stage)
    heap, least = status.get("heap"), status.get("heap_min")
    good = isinstance(least, int) and least >= HEAP_FREE
    yield judged(
        "heap of a running node", good, f"{heap} free, least {least}", f"{HEAP_FREE} bytes"
    )
    since = stage.mark()
    left = board.memory()
    goodbye = stage.wait("status", lambda f: f.get("reason") == "shutdown", BIRTH_S, since)
    yield judged("goodbye on Ctrl-C", goodbye is not None, "said" if goodbye else "silence")
    if left.idf is None:
        yield unchecked("heap of the IDF", "there is none here")
    else:
        measured = f"{left.idf} free, least {left.idf_least}"
        yield judged("heap of the IDF", (left.idf_least or 0) >= HEAP_FREE, measured)


def watchdog(stage: Stage, board: Board) -> Iterable[Outcome]:
    """A board that hangs is reset by its watchdog, says so, and goes on."""
    since = stage.mark()
    board.hang(WATCHDOG_MS)
    birth = stage.birth(BIRTH_S, since)
    reset = birth.fields.get("reset") if birth else "silence"
    yield judged("watchdog", reset == "watchdog", f"reset={reset}", f"{WATCHDOG_MS} ms")


def birth_limit(stage: Stage) -> str:
    """Return how long a birth may take, in words."""
    return f"{BIRTH_S * stage.patience:.0f} s"


def node_status(stage: Stage) -> dict[str, Any]:
    """Return what the node says of itself; empty when it says nothing."""
    answer, _ = stage.ask("get_status")
    result = answer.get("result") if answer else None
    return result if isinstance(result, dict) else {}


def _good(name: str, value: Any) -> bool:
    """Whether a field was read, and is what a sensor can give."""
    low, high = _RANGES.get(name.rpartition("_")[2], (-inf, inf))
    return is_number(value) and low <= value <= high
