"""`limpet broker`: a broker in the foreground, until Ctrl-C. On loopback it is the embedded one;
anywhere else, where strangers may reach it, mosquitto.
"""

import contextlib
import errno
import logging
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

from limpet.brokers import age
from limpet.brokers.broker_config import address
from limpet.brokers.embedded.broker import LOOPBACK, TLS_PORT, EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.identity import fleet_settings
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout, announced
from limpet.shared import windows
from limpet.shared.numbers import ListeningPort
from limpet.shared.problem import Problem

# Where only this machine reaches it. Another address of 127.0.0.0/8 stands for a network in tests.
SMALL = (LOOPBACK, "::1")


def broker(
    *,
    fleet: FleetOption = None,
    listen: str = LOOPBACK,
    port: ListeningPort = TLS_PORT,
    verbose: bool = False,
) -> int:
    """Run a broker with TLS and client certificates for the devices of a fleet.

    On 127.0.0.1 and ::1 it is a small one that comes with limpet, which forgets its sessions when
    it ends. On any other address it is mosquitto, by what `limpet broker-config mosquitto` writes.

    Parameters
    ----------
    listen
        Address to listen on; 0.0.0.0 is all.
    port
        Port to listen on, which has to be the one that the devices know; 0: any free one.
    verbose
        Also say what amqtt, the library underneath the small one, has to say.
    """
    windows.refuse("broker", "it is tried on Linux alone")
    root = required(fleet).root
    at = address(listen)
    if not Layout(root).server_certificate.exists():
        raise Problem(f"The fleet {root} has no device yet.", "Make one: limpet provision node-1.")
    with _refusals(listen, port):
        if at in SMALL:
            return _embedded(root, at, port, verbose)
        return _mosquitto(root, at, port)


def _embedded(root: Path, listen: str, port: int, verbose: bool) -> int:
    _log(verbose)
    # Blocked before the thread starts, which inherits it: so the signal comes to sigwait and
    # nowhere else.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    running = EmbeddedBroker(root, listen, port)
    running.start()
    _tell(f"{listen}:{running.port}", root)
    age.tell(Layout(root))  # of a mosquitto of this fleet: this one goes by the rules themselves
    signal.sigwait(signals)
    running.stop()
    print("broker stopped", flush=True)
    return 0


def _mosquitto(root: Path, listen: str, port: int) -> int:
    from limpet.brokers.on_network import OnNetwork

    stopping = threading.Event()
    # The last is a terminal that is closed, which mosquitto would outlive.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # By a thread: this one may be inside `wait`, and hold the lock that `set` waits for.
        signal.signal(number, lambda *_: threading.Thread(target=stopping.set).start())
    names = [*fleet_settings.read(root).server_names(), *([listen] if listen else [])]
    layout = open_setup(root, names).layout
    running = OnNetwork(layout, listen, port)
    try:
        running.start()
        with announced(layout, listen or "0.0.0.0", running.port):
            _tell(f"{listen or '0.0.0.0'}:{running.port}", root, "mosquitto, ")
            age.tell(layout)
            running.follow(stopping)
    finally:
        running.stop()
    print("broker stopped", flush=True)
    return 0


def _tell(where: str, root: Path, kind: str = "") -> None:
    print(
        f"broker on {where}, {kind}TLS, client certificates required, "
        f"for the fleet {root}; Ctrl-C ends it",
        flush=True,
    )


@contextlib.contextmanager
def _refusals(listen: str, port: int) -> Iterator[None]:
    """Say of an address that cannot be listened on why not."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno == errno.EADDRINUSE:
            raise Problem(
                f"Something listens on port {port} of {listen} already.",
                "End it, or give another --port: to the devices as well (limpet provision ID).",
            ) from None
        cause = f"No listening on {listen}:{port}: {(error.strerror or str(error)).split(' (')[0]}."
        raise Problem(cause, "Give another --listen or --port.") from None


def _log(verbose: bool) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("limpet.broker").setLevel(logging.DEBUG if verbose else logging.INFO)
    if verbose:
        # Not DEBUG: there amqtt prints whole Messages.
        logging.getLogger("amqtt").setLevel(logging.INFO)
