"""What a board is measured by: a commit, the client alone, and a node that is watched for a while.

Each is a check as those of checks.py. (compare.py holds a figure against another run's.)
"""

import time
from collections.abc import Iterable
from statistics import median

from rich.console import Console

from limpet.shared.plain import plural
from limpet.trial import checks
from limpet.trial.checks import Board
from limpet.trial.console import Turns
from limpet.trial.outcome import Outcome, judged, unchecked
from limpet.trial.stage import Stage

COMMITS = 20
# At most three erases of 4 KB, each 45 ms and at worst 400 (datasheet of Winbond's W25Q32).
COMMIT_MS = 2000
CLIENT_S = 10.0
LOOK_S = 60.0  # without --look: some thirty Readings
_SLICE_S = 0.2
_MEMORY = "memory, watched"


def commit(stage: Stage, board: Board) -> Iterable[Outcome]:
    """How long a Reading takes to be on flash."""
    took = [us / 1000 for us in board.commits(COMMITS)]
    middle, longest = median(took), max(took)
    yield judged(
        "flash commit",
        longest <= COMMIT_MS * stage.patience,
        f"{middle:.1f} ms, longest of {len(took)}: {longest:.1f} ms",
        f"{COMMIT_MS * stage.patience} ms",
        {"commit_ms": middle, "commit_longest_ms": longest},
    )


def client(stage: Stage, board: Board) -> Iterable[Outcome]:
    """How many QoS 1 Messages per second the client alone has acknowledged, without a node."""
    found = board.publish(CLIENT_S, checks.BIRTH_S * stage.patience)
    if not found.acknowledged or found.cause:
        why = f"{plural(found.acknowledged, 'Message')}, {found.cause or 'no PUBACK'}"
        yield judged("client alone", False, why)
        return
    rate = found.acknowledged * 1000 / max(found.ms, 1)
    said = f"{rate:.1f} Messages/s, handshake {found.handshake_ms} ms"
    yield judged("client alone", True, said, figures={"client_per_s": rate})


def look(stage: Stage, board: Board) -> Iterable[Outcome]:
    """What a node needs that is left alone for a while: memory, and time awake per Reading."""
    since = stage.mark()
    board.watch()
    if stage.birth(checks.BIRTH_S, since) is None:
        yield judged("birth of a watched node", False, "silence", checks.birth_limit(stage))
        return
    stage.wait("telemetry", lambda _: True, checks.INTERVAL_S * 4, since)
    silence_s = checks.BIRTH_S * stage.patience
    with Console(stderr=True).status(f"Watching the node for {board.look_s:g} s"):
        first = _after(board, 0, silence_s)
        done = first and _after(board, first.whole_ms + board.look_s * 1000, silence_s)
    if first is None or done is None:
        yield judged(_MEMORY, False, f"the node has not gone on for {board.look_s:g} s")
        return
    yield _memory(stage, board)
    yield _steps(board)
    awake, reads = done.awake_ms - first.awake_ms, done.reads - first.reads
    if not reads:
        yield unchecked("awake per Reading", "no Reading was taken in that time")
        return
    each = awake / reads
    said = f"{each:.1f} ms, {plural(reads, 'Reading')}"
    yield judged("awake per Reading", True, said, figures={"awake_per_reading_ms": each})


def _after(board: Board, whole_ms: float, silence_s: float) -> Turns | None:
    """Return the node's Turns after `whole_ms`, or None when it says no more for `silence_s`: one
    that was reset in the first minute of an hour is not watched any longer.
    """
    last, heard = board.turns(), time.monotonic()
    while not last or last.whole_ms < whole_ms:
        if time.monotonic() - heard > silence_s:
            return None
        time.sleep(_SLICE_S)
        if (now := board.turns()) != last:
            last, heard = now, time.monotonic()
    return last


def _steps(board: Board) -> Outcome:
    took = board.steps()
    slowest = sorted(took, key=lambda name: -took[name])
    said = ", ".join(f"{name} {took[name]:.0f} ms" for name in slowest)
    good = bool(took) and max(took.values()) <= board.step_ms
    figures = {f"step_{name.lower()}_ms": ms for name, ms in took.items()}
    return judged("steps by part", good, said or "none", f"{board.step_ms} ms", figures)


def _memory(stage: Stage, board: Board) -> Outcome:
    piece = board.largest(checks.INTERVAL_S * 5 * stage.patience)
    status = checks.node_status(stage)
    found = {
        "heap_bytes": status.get("heap"),
        "heap_largest_bytes": piece,
        "idf_bytes": status.get("idf"),
        "idf_largest_bytes": status.get("idf_largest"),
        "idf_least_bytes": status.get("idf_min"),
    }
    figures = {name: float(bytes_) for name, bytes_ in found.items() if isinstance(bytes_, int)}
    said = f"after {board.look_s:g} s {found['heap_bytes']} free, largest piece {piece}"
    if "idf_bytes" in figures:
        said += f"; IDF {found['idf_bytes']} free, largest piece {found['idf_largest_bytes']}"
        said += f", least {found['idf_least_bytes']}"
    least = min(figures.get("heap_bytes", 0), figures.get("idf_least_bytes", checks.HEAP_FREE))
    good = least >= checks.HEAP_FREE and piece is not None
    return judged(_MEMORY, good, said, f"{checks.HEAP_FREE} bytes", figures)
