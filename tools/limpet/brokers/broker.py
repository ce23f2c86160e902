"""`limpet broker`: the embedded broker in the foreground, until Ctrl-C."""

import errno
import logging
import signal

from limpet.brokers import age
from limpet.brokers.embedded.broker import LOOPBACK, TLS_PORT, EmbeddedBroker
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.layout import Layout
from limpet.shared import windows
from limpet.shared.numbers import ListeningPort
from limpet.shared.problem import Problem


def broker(
    *,
    fleet: FleetOption = None,
    host: str = LOOPBACK,
    port: ListeningPort = TLS_PORT,
    verbose: bool = False,
) -> int:
    """Run a broker with TLS and client certificates for the devices of a fleet.

    Parameters
    ----------
    host
        Address to listen on.
    port
        Port to listen on, which has to be the one that the devices know; 0: any free one.
    verbose
        Also say what amqtt, the library underneath, has to say.
    """
    windows.refuse("broker", "it is tried on Linux alone")
    root = required(fleet).root
    if not Layout(root).server_certificate.exists():
        raise Problem(f"The fleet {root} has no device yet.", "Make one: limpet provision node-1.")
    _log(verbose)
    # Blocked before the thread starts, which inherits it: so the signal comes to sigwait and
    # nowhere else.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        running = EmbeddedBroker(root, host, port)
        running.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Problem(
                f"Something listens on port {port} of {host} already.",
                "End it, or give another --port: to the devices as well (limpet provision ID).",
            ) from None
        cause = f"No listening on {host}:{port}: {error.strerror or error}."
        raise Problem(cause, "Give another --host or --port.") from None
    print(
        f"broker on {host}:{running.port}, TLS, client certificates required, "
        f"for the fleet {root}; Ctrl-C ends it",
        flush=True,
    )
    age.tell(Layout(root))  # of a mosquitto of this fleet: this one goes by the rules themselves
    signal.sigwait(signals)
    running.stop()
    print("broker stopped", flush=True)
    return 0


def _log(verbose: bool) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("limpet.broker").setLevel(logging.DEBUG if verbose else logging.INFO)
    if verbose:
        # Not DEBUG: there amqtt prints whole Messages.
        logging.getLogger("amqtt").setLevel(logging.INFO)
