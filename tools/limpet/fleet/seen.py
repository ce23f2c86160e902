"""What a fleet's brokers know of its devices: the retained status of each, asked for within a few
seconds.

A status has no time in it: it says that a device is online, or since its last session is not.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from limpet.brokers.rules import organisations
from limpet.identity import device_config
from limpet.identity.layout import Layout
from limpet.operating.operator_client import Arrival, OperatorClient
from limpet.operating.where import Where
from limpet.shared.firmware import errors, topics
from limpet.shared.problem import Problem

LIMIT_S = 5.0
# So long after the last one, no more retained Messages come.
QUIET_S = 0.5
# Each connection takes an operator's identity, of which there are eight.
_BROKERS_MAX = 4
_TELL_S = 2.0


class Heard:
    """What came, and when the last of it did."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self._last = time.monotonic()

    def take(self, arrival: Arrival) -> None:
        """Note a Message, as OperatorClient's callback."""
        if arrival.retained:
            self.retained[arrival.topic] = arrival.payload
            self._last = arrival.at

    def wait(self, until: float, complete: Callable[[], bool] = lambda: False) -> None:
        """Wait until no more comes, or `complete`, or until the clock says `until`."""
        self._last = time.monotonic()
        while not complete() and time.monotonic() < min(until, self._last + QUIET_S):
            time.sleep(0.02)


def statuses(layout: Layout, names: Iterable[str]) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the retained status of each device that has one, and in words which brokers could not
    be asked. It takes LIMIT_S at most, and raises nothing.
    """
    until = time.monotonic() + LIMIT_S
    found: dict[str, dict[str, Any]] = {}
    faults: dict[str, str] = {}
    threads = []
    for where, device in _brokers(layout, names).items():
        faults[where] = f"the broker {where} has not answered within {LIMIT_S:.0f} s"
        asking = threading.Thread(
            target=_ask, args=(layout, where, device, until, found, faults), daemon=True
        )
        asking.start()
        threads.append(asking)
    said = False
    while any(each.is_alive() for each in threads) and time.monotonic() < until:
        threads[0].join(0.05)
        if not said and time.monotonic() > until - LIMIT_S + _TELL_S:
            said = True
            print("limpet: asking the broker who is there", file=sys.stderr, flush=True)
        threads = [each for each in threads if each.is_alive()]
    return dict(found), list(faults.values())


def _brokers(layout: Layout, names: Iterable[str]) -> dict[str, str]:
    """Return a device of each broker, by its address."""
    found: dict[str, str] = {}
    for name in names:
        try:
            config = device_config.load(layout.device(name))
        except (OSError, errors.ConfigError):
            continue
        found.setdefault(f"{config.broker}:{config.port}", name)
        if len(found) == _BROKERS_MAX:
            break
    return found


def _ask(
    layout: Layout,
    where: str,
    device: str,
    until: float,
    found: dict[str, dict[str, Any]],
    faults: dict[str, str],
) -> None:
    heard, bases = Heard(), layout.bases()
    try:
        with OperatorClient(Where(fleet=layout.root), heard.take, device=device) as client:
            client.connect()
            suffix = topics.STATUS
            client.subscribe(f"{org}/+/+/+/+/{suffix}" for org in organisations(bases))
            wanted = {f"{base}/{suffix}": name for name, base in bases.items()}
            heard.wait(until, lambda: wanted.keys() <= heard.retained.keys())
    except Problem as problem:
        faults[where] = problem.cause
        return
    for topic, payload in heard.retained.items():
        if (name := wanted.get(topic)) and (status := _status(payload)):
            found[name] = status
    faults.pop(where, None)


def _status(payload: bytes) -> dict[str, Any] | None:
    try:
        said = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) and isinstance(said.get("status"), str) else None
