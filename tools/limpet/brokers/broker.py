"""`limpet broker`: the embedded broker in the foreground, until Ctrl-C."""

import errno
import logging
import signal
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from limpet.brokers.embedded.broker import LOOPBACK, TLS_PORT, EmbeddedBroker
from limpet.identity.layout import Layout
from limpet.shared import windows
from limpet.shared.numbers import ListeningPort
from limpet.shared.paths import DEV
from limpet.shared.problem import Problem


def broker(
    *,
    directory: Annotated[Path, Parameter(name="--dir")] = DEV,
    host: str = LOOPBACK,
    port: ListeningPort = TLS_PORT,
    verbose: bool = False,
) -> int:
    """Run a broker with TLS and client certificates for the devices provisioned in a directory.

    Parameters
    ----------
    directory
        Directory made by `limpet provision`.
    host
        Address to listen on.
    port
        Port to listen on, which has to be the one that the devices know; 0: any free one.
    verbose
        Also say what amqtt, the library underneath, has to say.
    """
    windows.refuse("broker", "it is tried on Linux alone")
    if not Layout(directory).server_certificate.exists():
        raise Problem(f"There is no set-up in {directory}.", "Run `limpet provision` first.")
    _log(verbose)
    # Blocked before the thread starts, which inherits it: so the signal comes to sigwait and
    # nowhere else.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        running = EmbeddedBroker(directory, host, port)
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
        f"broker on {host}:{running.port}, TLS, client certificates required; Ctrl-C ends it",
        flush=True,
    )
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
