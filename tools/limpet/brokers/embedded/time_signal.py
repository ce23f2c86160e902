"""The time, said by the embedded broker once a minute on `{org}/time`, QoS 0 and not retained.

A second opinion for nodes whose time servers are in doubt (firmware/device/clock.py). It is as
right as the system's clock, and is said once a minute, to whoever is there.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from limpet.brokers import rules
from limpet.identity.layout import Layout
from limpet.shared.firmware import topics
from limpet.shared.problem import Problem

EVERY_S = 60


unix = time.time


def payload() -> bytes:
    """Return what is said now: compact, in whole seconds."""
    return b'{"v":1,"ts":%d}' % unix()


async def tell(layout: Layout, publish: Callable[[str, bytes, int], Awaitable[None]]) -> None:
    """Say it for ever to the organisations of the set-up; publish(topic, payload, qos)."""
    while True:
        await asyncio.sleep(EVERY_S)
        with contextlib.suppress(OSError, Problem):  # a registry that is none just now
            for org in rules.organisations(layout.bases()):
                await publish(f"{org}/{topics.TIME}", payload(), 0)
