"""`limpet exporter` for tests: as a process beside a real broker, and what it shows."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from limpet.identity import consumers
from limpet.identity.provisioning import Setup
from prometheus_client.parser import text_string_to_metric_families
from support.brokers.mosquitto import Mosquitto
from support.tool import TIMEOUT_S, Tool, serving

NAME = "exporter"
Samples = dict[tuple[str, ...], float]


class Saying(Mosquitto):
    """mosquitto that says its figures each second."""

    more = "sys_interval 1\n"


@pytest.fixture
def mosquitto(setup: Setup) -> Iterator[Saying]:
    """Run one that knows the exporter."""
    consumers.add(setup, NAME, "read")
    running = Saying(setup)
    running.start()
    yield running
    running.close()


@pytest.fixture
def start(setup: Setup) -> Iterator[Callable[..., Tool]]:
    """Start exporters on a free port, and end those that still run."""
    consumers.add(setup, NAME, "read")
    with serving("exporter", setup.layout.root) as started:
        yield started


def url(tool: Tool) -> str:
    """Where its metrics are."""
    found = re.search(r"http://\S+/metrics", tool.text)
    assert found, tool.text
    return found[0]


def scraped(tool: Tool) -> Samples:
    """Return all samples by (name, *values of their labels, by the labels' names)."""
    with urlopen(url(tool), timeout=TIMEOUT_S) as answer:
        text = answer.read().decode()
    return {
        (each.name, *(value for _, value in sorted(each.labels.items()))): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


def until(tool: Tool, fits: Callable[[Samples], Any]) -> Samples:
    """Scrape until it fits."""
    limit = time.monotonic() + TIMEOUT_S
    while not fits(found := scraped(tool)):
        assert time.monotonic() < limit, found
        time.sleep(0.2)
    return found
