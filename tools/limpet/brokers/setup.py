"""A set-up whose brokers' files follow its registry."""

from collections.abc import Iterable
from pathlib import Path

from limpet.brokers import written
from limpet.identity.provisioning import Setup


def open_setup(root: Path, names: Iterable[str] = ()) -> Setup:
    """Open or begin the set-up in `root`, with every broker's files kept up to date.

    names: further host names and addresses of the broker, for its certificate.
    """
    return Setup(root, names, followers=(written.refresh,))
