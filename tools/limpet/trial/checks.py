"""The checks of a board, each by itself: what the node has to do, as seen from the broker.

Each takes the Stage and what is known of the board, and returns its Outcomes; a check that finds
nothing wrong with silence would be none, so silence fails. It will NOT provision or deploy, and
nothing here depends on which transport the board is reached by.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, Protocol

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

_TEMPERATURES = (-40.0, 80.0)  # AM2302 datasheet
_HUMIDITIES = (0.0, 100.0)


class Memory(NamedTuple):
    """Bytes: the interpreter's heap free, the IDF's free and its least ever; None where none is."""

    gc: int
    idf: int | None
    idf_least: int | None


class Wire(Protocol):
    """The board by its port."""

    step_ms: int  # the longest step that its time budget allows

    def memory(self) -> Memory:
        """Stop the node as Ctrl-C does, and return what memory it leaves."""

    def hang(self, watchdog_ms: int) -> None:
        """Let nothing run until the watchdog bites, after `watchdog_ms`."""


def readings(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """Readings arrive, none is left out, and they are such as a DHT22 can give."""
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
    good = [
        _within(each.temperature, _TEMPERATURES) and _within(each.humidity, _HUMIDITIES)
        for each in found
    ]
    shown = f"{last.temperature} °C, {last.humidity} %"
    yield judged("values", all(good), shown, "-40 to 80 °C, 0 to 100 %")


def _no_readings(stage: Stage) -> Outcome:
    status = _status(stage)
    errors = status.get("read_errors") or {}
    if status.get("reads") == 0 and errors.get("no-response"):
        why = f"the DHT22 does not answer ({errors['no-response']} times): not wired?"
        return unchecked("Readings", why)
    return judged("Readings", False, f"none; errors {errors}")


def commands(stage: Stage, wire: Wire) -> Iterable[Outcome]:
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


def will(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """The broker says the will when the connection breaks, and the node comes back."""
    since = stage.mark()
    stage.throw_out()
    lost = stage.wait("status", lambda fields: fields.get("reason") == "lost", BIRTH_S, since)
    yield judged("will", lost is not None, "said" if lost else "silence")
    birth = stage.birth(BIRTH_S, since)
    took = f"{birth.at - lost.at:.1f} s later" if birth and lost else "it did not"
    yield judged("comes back", birth is not None, took, birth_limit(stage))


def outage(stage: Stage, wire: Wire) -> Iterable[Outcome]:
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


def steps(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """No step of the main loop has taken longer than the board's time budget."""
    status = _status(stage)
    longest = status.get("longest_step_ms")
    good = isinstance(longest, int) and longest <= wire.step_ms
    yield judged("longest step", good, f"{longest} ms", f"{wire.step_ms} ms")
    yield judged("bugs", status.get("bugs") == 0, str(status.get("bugs")), "0")
    yield judged("handshake", "handshake_ms" in status, f"{status.get('handshake_ms')} ms")


def reboot(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """A reboot is answered first and carried out then."""
    since = stage.mark()
    answer, _ = stage.ask("reboot")
    answered = time.monotonic()
    birth = stage.birth(BIRTH_S, since) if answer else None
    reset = birth.fields.get("reset") if birth else "silence"
    took = f"reset={reset}, birth {birth.at - answered:.1f} s later" if birth else "silence"
    yield judged("reboot", reset == "hard", took)


def memory(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """There is heap left, the interpreter's and the IDF's; the node says goodbye when stopped."""
    status = _status(stage)
    heap, least = status.get("heap"), status.get("heap_min")
    good = isinstance(least, int) and least >= HEAP_FREE
    yield judged(
        "heap of a running node", good, f"{heap} free, least {least}", f"{HEAP_FREE} bytes"
    )
    since = stage.mark()
    left = wire.memory()
    goodbye = stage.wait("status", lambda f: f.get("reason") == "shutdown", BIRTH_S, since)
    yield judged("goodbye on Ctrl-C", goodbye is not None, "said" if goodbye else "silence")
    if left.idf is None:
        yield unchecked("heap of the IDF", "there is none here")
    else:
        measured = f"{left.idf} free, least {left.idf_least}"
        yield judged("heap of the IDF", (left.idf_least or 0) >= HEAP_FREE, measured)


def watchdog(stage: Stage, wire: Wire) -> Iterable[Outcome]:
    """A board that hangs is reset by its watchdog, says so, and goes on."""
    since = stage.mark()
    wire.hang(WATCHDOG_MS)
    birth = stage.birth(BIRTH_S, since)
    reset = birth.fields.get("reset") if birth else "silence"
    yield judged("watchdog", reset == "watchdog", f"reset={reset}", f"{WATCHDOG_MS} ms")


# The counters of `steps` are since boot, so it comes before what resets the board.
CHECKS: tuple[Callable[[Stage, Wire], Iterable[Outcome]], ...] = (
    readings,
    commands,
    will,
    outage,
    steps,
    reboot,
    memory,
    watchdog,
)


def birth_limit(stage: Stage) -> str:
    """Return how long a birth may take, in words."""
    return f"{BIRTH_S * stage.patience:.0f} s"


def _status(stage: Stage) -> dict[str, Any]:
    answer, _ = stage.ask("get_status")
    result = answer.get("result") if answer else None
    return result if isinstance(result, dict) else {}


def _within(value: Any, limits: tuple[float, float]) -> bool:
    return isinstance(value, int | float) and limits[0] <= value <= limits[1]
