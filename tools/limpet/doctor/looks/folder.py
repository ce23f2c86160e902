"""What the fleet's own folder says: devices, certificates, files of brokers. Nothing is changed."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from limpet.brokers import age
from limpet.doctor.facts import Certificate, OldFile, Own
from limpet.doctor.looks.doors import certificate
from limpet.identity import authority, device_config
from limpet.identity.device_folder import checked
from limpet.identity.layout import Layout
from limpet.shared.firmware import errors
from limpet.shared.problem import Problem

_CA = "Make a new fleet: limpet init, and provision its devices there."
_SERVER = "Run `limpet fleet renew`, and restart the broker."


def own(layout: Layout, names: Iterable[str], told: Callable[[int], None]) -> Iterator[Own]:
    """Yield every device of the registry; those of `names` with what their folders say."""
    bases, wanted = layout.bases(), set(names)
    for name in sorted(bases.keys() | wanted):
        if name in wanted:
            yield _own(layout, name, bases.get(name))
            told(1)
        else:
            yield Own(name, bases[name])


def _own(layout: Layout, name: str, base: str | None) -> Own:
    folder = layout.device(name)
    config: Any = None
    problem: Problem | None = None
    with contextlib.suppress(OSError, errors.ConfigError):  # `checked` has the words for it
        config = device_config.load(folder)
    try:
        checked(folder, name)
    except Problem as found:
        problem = found
    return Own(name, base, config, problem)


def certificates(layout: Layout, devices: Iterable[Own], *, all_: bool) -> tuple[Certificate, ...]:
    """Return the CA's certificate, the broker's and the devices', as far as their configs are
    known; of `all_` the programs', too.
    """
    found = [
        (layout.ca_certificate, "the fleet's CA", _CA),
        (layout.server_certificate, "the broker, as the fleet has made it", _SERVER),
    ]
    for name in layout.consumers() if all_ else ():
        again = f"Move {layout.operator(name)} away, and provision any device."
        found.append((layout.operator_pair(name)[1], name, again))
    for each in devices:
        if each.config and each.config.cert:
            again = "`limpet fleet renew`, then `limpet deploy`."
            found.append((layout.device(each.name) / each.config.cert, each.name, again))
    return tuple(filter(None, (_certificate(*each) for each in found)))


def _certificate(path: Path, whose: str, renew: str) -> Certificate | None:
    if not path.is_file():
        return None
    try:
        return certificate(authority.load_certificate(path), whose, renew)
    except Problem:  # of a device, `own` says it; of all others, whoever needs it
        return None


def old_files(layout: Layout) -> tuple[OldFile, ...]:
    """Return the files of brokers that are not by the registry of now."""
    return tuple(OldFile(*each) for each in age.told(layout))
