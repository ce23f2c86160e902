"""`limpet test-board`: makes a device, deploys it, tries it, and prints what was seen.

It works on a board, an emulator or a simulator alike: whatever answers as MicroPython at the port.
It will NOT leave the board as it was: it is the device `trial` afterwards.
"""

import contextlib
import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet import private
from limpet.asked import secret
from limpet.board.board_facts import facts
from limpet.board.port import find_port
from limpet.brokers.broker import EmbeddedBroker
from limpet.deploying.deploy import WATCH_S, put
from limpet.deploying.remote import Remote
from limpet.firmware import errors, version
from limpet.numbers import Times
from limpet.paths import BUILD
from limpet.problem import Problem
from limpet.provision import WIFI_VARIABLE, Setup, check, encoded
from limpet.trial.checks import BIRTH_S, CHECKS, INTERVAL_S, Memory, birth_limit
from limpet.trial.ear import Ear
from limpet.trial.outcome import FAILED, Outcome, failed, judged, table
from limpet.trial.stage import Stage
from limpet.wire import Wire

DEVICE = "trial"
_KEEPALIVE_S = 10
# What a handshake step may take on a chip, with a client certificate; nothing else is as long.
STEP_MS = 3000

_MEMORY = """
import gc
gc.collect()
try:
    import esp32
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    idf = (sum(each[1] for each in regions), sum(each[3] for each in regions))
except (ImportError, AttributeError):
    idf = (None, None)
print((gc.mem_free(),) + idf)
"""
_ABOUT = """
import sys
print((sys.implementation._machine, sys.version))
"""
_HANG = """
import machine
machine.WDT(timeout=%d)
while True:
    pass
"""


class Console:
    """The board by its port, for the checks that need more than the broker."""

    def __init__(self, port: str, ear: Ear, step_ms: int) -> None:
        self.step_ms = step_ms
        self._port = port
        self._ear = ear
        self.about = ("unknown", "unknown")

    def memory(self) -> Memory:
        """Stop the node as Ctrl-C does, and return what memory it leaves."""
        with self._ear.away(), Remote(self._port) as remote:
            self.about = remote.run(_ABOUT)
            return Memory(*remote.run(_MEMORY))

    def hang(self, watchdog_ms: int) -> None:
        """Let nothing run until the watchdog bites, after `watchdog_ms`."""
        with self._ear.away(), Remote(self._port) as remote:
            remote.start(_HANG % watchdog_ms)


def trial(
    board: str,
    /,
    *,
    broker_host: str | None = None,
    port: str | None = None,
    wifi_ssid: str | None = None,
    listen: str | None = None,
    directory: Annotated[Path, Parameter(name="--dir")] = BUILD / "trial",
    patience: Times = 1,
) -> int:
    """Try the node on a board: deploy it, and check it from a broker on this machine.

    The board becomes the device `trial`. Exit code 0 when no check failed.

    Parameters
    ----------
    board
        A folder below boards/.
    broker_host
        This machine's address as the board sees it.
    port
        Serial port or URL; not needed when one board is plugged in.
    wifi_ssid
        The board's network. Its password is asked for, or the variable WIFI_PASSWORD has it; an
        empty one is for an open network.
    listen
        Address on which the broker listens, where that is not --broker-host itself: an emulator.
    directory
        Where the device is made, and the report is left.
    patience
        Every time limit is so many times as long: for an emulator or a simulator, which is slow.
    """
    facts(board)
    if broker_host is None or wifi_ssid is None:
        raise Problem(
            "The board has to find a broker on this machine.",
            f"Say BROKER_HOST=, this machine's address, and WIFI_SSID=; {WIFI_VARIABLE} by itself.",
        )
    password = secret("password of the Wi-Fi", WIFI_VARIABLE)
    where = find_port(port)
    setup = _setup(directory, broker_host)
    with EmbeddedBroker(directory) as broker, _wire(broker.port, listen or broker_host) as wire:
        keepalive_s = _KEEPALIVE_S * patience
        base = _provision(setup, broker_host, wire.port, keepalive_s, wifi_ssid, password)
        with Stage(broker, wire, DEVICE, base, patience).open() as stage:
            since = stage.mark()
            put(board, where, DEVICE, directory, replace=True, watch_s=WATCH_S * patience)
            outcomes, consoles = list[Outcome](), dict[str, list[str]]()
            ear = Ear(where)
            console = Console(where, ear, STEP_MS * patience)
            with contextlib.suppress(KeyboardInterrupt), ear:
                for outcome in _checked(stage, console, since):
                    outcomes.append(outcome)
                    print(f"{outcome.result:<12} {outcome.check}: {outcome.measured}", flush=True)
                    if outcome.result == FAILED:
                        consoles[outcome.check] = ear.take()
    machine, micropython = console.about
    known = [("Limpet", version.VERSION), ("Board", f"{board}, {machine}")]
    report = table([*known, ("MicroPython", micropython)], outcomes, consoles)
    path = directory / f"report-{board}.md"
    path.write_text(report, "utf-8")
    print(f"\n{report}\nThis table is in {path}. The board is the device {DEVICE} now.")
    if not any(outcome.check == "watchdog" for outcome in outcomes):
        print("limpet: stopped before all was checked.", file=sys.stderr)
        return 1
    return 1 if failed(outcomes) else 0


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
        return Setup(directory, [broker_host])
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
            private.write(setup.layout.device(DEVICE) / "config.json", encoded(fields))
    except errors.ConfigError as error:
        raise Problem(f"{error.field}: {error.text}.", "Give another.") from None
    return setup.layout.bases()[DEVICE]
