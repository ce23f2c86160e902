"""`limpet test-board`: makes a device, deploys it, tries it, and prints what was seen.

It works on a board, an emulator or a simulator alike: whatever answers as MicroPython at the port.
The board is not left as it was: it is the device `trial` afterwards.
"""

import contextlib
import errno
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import CycloptsError, Parameter

from limpet.boards.board_facts import facts
from limpet.boards.port import find_port
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.deploying.deploy import WATCH_S, put
from limpet.identity import device_config
from limpet.identity.device_config import check
from limpet.identity.fleet_folder import FleetOption, own_boards
from limpet.identity.provisioning import Setup
from limpet.shared.asked import WIFI_VARIABLE, secret
from limpet.shared.firmware import errors, version
from limpet.shared.numbers import Seconds, Times
from limpet.shared.paths import DATA
from limpet.shared.problem import Problem
from limpet.trial import checks, measures, probes, report
from limpet.trial import compare as comparison
from limpet.trial.checks import BIRTH_S, INTERVAL_S, Board, birth_limit
from limpet.trial.console import Console
from limpet.trial.console_log import ConsoleLog
from limpet.trial.outcome import FAILED, Outcome, failed, judged, table
from limpet.trial.stage import Stage
from limpet.trial.wire import Wire

DEVICE = "trial"
_KEEPALIVE_S = 10
# What a handshake step may take on a chip, with a client certificate; nothing else is as long.
STEP_MS = 3000

# The counters of `steps` are since boot, so it comes before what resets the board. `memory` stops
# the node; what comes behind it finds it stopped, and `look` starts it again.
CHECKS: tuple[Callable[[Stage, Board], Iterable[Outcome]], ...] = (
    *(checks.readings, checks.commands, checks.will, checks.outage, checks.steps, checks.reboot),
    *(checks.memory, measures.commit, measures.client, measures.look),
    checks.watchdog,
)
# Of --compare, when something is worse.
WORSE = 3


def trial(
    board: str | None = None,
    /,
    *,
    broker_host: str | None = None,
    port: str | None = None,
    wifi_ssid: str | None = None,
    listen: str | None = None,
    fleet: FleetOption = None,
    out: Annotated[Path, Parameter(show_default=False)] = DATA / "trial",
    patience: Times = 1,
    look: Seconds = measures.LOOK_S,
    json: Path | None = None,
    compare: Annotated[tuple[Path, Path] | None, Parameter(negative=())] = None,
) -> int:
    """Try the node on a board: deploy it, and check it from a broker on this machine.

    The board becomes the device `trial`. Exit code 0 when no check failed, 1 when one did. With
    --compare no board is needed: 0 when nothing is worse in the second file, 3 when something is,
    1 when a file cannot be used.

    Parameters
    ----------
    board
        A folder below the fleet's boards/, or below ours.
    broker_host
        This machine's address as the board sees it.
    port
        Serial port or URL; not needed when one board is plugged in.
    wifi_ssid
        The board's network. Its password is asked for, or the variable WIFI_PASSWORD has it; an
        empty one is for an open network.
    listen
        Address on which the broker listens, where that is not --broker-host itself: an emulator.
    out
        Where the device is made, which is no fleet's, and the report is left [default: build/trial
        of a clone, else a folder in the user's data].
    patience
        Every time limit is so many times as long: for an emulator or a simulator, which is slow.
    look
        Seconds for which the node is watched before its memory is looked at; 3600 shows more.
    json
        A file for what was found, to be compared with another run's.
    compare
        Two such files: a table of both with ratios, and what is worse in the second.
    """
    if compare:
        if board or json:
            raise _typed_wrong("--compare takes two files, and nothing else.")
        return _compared(*compare)
    if board is None:
        raise _typed_wrong("test-board needs a BOARD, or --compare with two files.")
    wanted = facts(board, own=own_boards(fleet))
    if json:
        report.prepare(json)
    if broker_host is None or wifi_ssid is None:
        raise Problem(
            "The board has to find a broker on this machine.",
            f"Say --broker-host, this machine's address, and --wifi-ssid; set {WIFI_VARIABLE}.",
        )
    password = secret("password of the Wi-Fi", WIFI_VARIABLE)
    where = find_port(port)
    setup = _setup(out, broker_host)
    with EmbeddedBroker(out) as broker, _wire(broker.port, listen or broker_host) as wire:
        keepalive_s = _KEEPALIVE_S * patience
        base = _provision(setup, broker_host, wire.port, keepalive_s, wifi_ssid, password)
        with Stage(broker, wire, DEVICE, base, patience).open() as stage:
            since = stage.mark()
            put(wanted, where, DEVICE, out, replace=True, watch_s=WATCH_S * patience)
            outcomes, consoles = list[Outcome](), dict[str, list[str]]()
            log = ConsoleLog(
                where, (probes.MARK, probes.STEPS, "max free sz", "GC: total", " No. of 1-blocks")
            )
            console = Console(where, log, STEP_MS * patience, look)
            with contextlib.suppress(KeyboardInterrupt), log:
                for outcome in _checked(stage, console, since):
                    outcomes.append(outcome)
                    print(f"{outcome.result:<12} {outcome.check}: {outcome.measured}", flush=True)
                    if outcome.result == FAILED:
                        consoles[outcome.check] = log.take()
    machine, micropython = console.about
    known = [
        ("Limpet", version.VERSION),
        ("Board", f"{board}, {machine}"),
        ("MicroPython", micropython),
        ("Watched for", f"{look:g} s"),
    ]
    shown = table(known, outcomes, consoles)
    path = out / f"report-{board}.md"
    path.write_text(shown, "utf-8")
    print(f"\n{shown}\nThis table is in {path}. The board is the device {DEVICE} now.")
    if json:
        report.write(json, report.of(known, outcomes))
    if not any(outcome.check == "watchdog" for outcome in outcomes):
        print("limpet: stopped before all was checked.", file=sys.stderr)
        return 1
    return 1 if failed(outcomes) else 0


def _typed_wrong(words: str) -> CycloptsError:
    return CycloptsError(msg=words, command_chain=("test-board",))


def _compared(first: Path, second: Path) -> int:
    a, b = report.read(first), report.read(second)
    found = comparison.rows(a, b)
    print(comparison.text(a, b, found), end="")
    return WORSE if comparison.worse(found) else 0


def _checked(stage: Stage, console: Console, since: int) -> Iterator[Outcome]:
    birth = stage.birth(BIRTH_S, since)
    if birth is None:
        yield judged("birth", False, "silence", birth_limit(stage))
        return
    yield judged("birth", True, f"boot {birth.fields['boot']}, reset={birth.fields['reset']}")
    for check_made in CHECKS:
        try:
            yield from check_made(stage, console)
        except Problem as problem:
            yield judged(check_made.__name__, False, problem.cause)


def _setup(directory: Path, broker_host: str) -> Setup:
    try:
        return open_setup(directory, [broker_host])
    except ValueError:
        raise Problem(f"{broker_host} is no host name or address.", "Give BROKER_HOST.") from None


@contextlib.contextmanager
def _wire(port: int, host: str) -> Iterator[Wire]:
    with contextlib.ExitStack() as stack:
        try:
            wire = stack.enter_context(Wire(port, host=host))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, None):
                raise Problem(f"No listening on {host}: {error.strerror}.", "See to it.") from None
            raise Problem(
                f"{host} is no address of this machine.",
                "Say LISTEN=127.0.0.1 where an emulator gives this machine another address.",
            ) from None
        yield wire


def _provision(
    setup: Setup, broker_host: str, port: int, keepalive_s: int, ssid: str, password: str
) -> str:
    """Make or change the device; return its base topic."""
    fields = {
        "device_id": DEVICE,
        "org": "limpet",
        "site": "trial",
        "zone": "desk",
        "device_type": "climate",
        "broker": broker_host,
        "port": port,
        "interval_s": INTERVAL_S,
        "keepalive_s": keepalive_s,
        "wifi_ssid": ssid,
        "wifi_password": password or None,
    }
    try:
        check(fields)
        if not setup.device(fields):
            device_config.write(setup.layout.device(DEVICE), fields)
    except errors.ConfigError as error:
        raise Problem(f"{error.field}: {error.text}.", "Give another.") from None
    return setup.layout.bases()[DEVICE]
