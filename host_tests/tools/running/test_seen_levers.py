"""The levers of `limpet run`, pulled with a pointer, in a real Chromium: what one sees of each."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from playwright.sync_api import Locator, Page, expect
from support.brokers.running import fields
from support.browser.chromium import TIMEOUT_MS, Visits, chromium, picture, visits
from support.fleets import fleet
from support.tool import Tool

__all__ = ["chromium", "visits"]

expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Tool]:
    """Run `limpet run` with a node that measures every two seconds, and notices faults soon."""
    root = fleet(tmp_path / "fleet")
    quick = {"interval_s": 2, "keepalive_s": 10, "handshake_s": 5}
    open_setup(root).device(fields("node-1") | quick)
    with Tool("run", "--fleet", root) as tool:
        tool.wait_for("try  ")
        yield tool
        tool.interrupt()
        tool.end()


def address(demo: Tool) -> str:
    """Where its page is."""
    found = re.search(r"page +(http://\S+/)", demo.text)
    assert found, demo.text
    return found[1]


def figure(page: Page, name: str) -> Locator:
    """A figure of the strip: taken, waiting, arrived, late."""
    return page.locator(f".figure.{name} b")


def number(place: Locator) -> int:
    """What it shows."""
    return int(place.inner_text().replace(",", ""))


def pull(page: Page, name: str, on: bool) -> None:
    """Turn a switch."""
    switch = page.get_by_role("switch", name=name)
    switch.click()
    expect(switch).to_have_attribute("aria-checked", str(on).lower())


def all_there(page: Page) -> None:
    """Wait until nothing waits any more, and all that was taken has arrived."""
    expect(page.locator(".strip-text")).to_contain_text("All there", timeout=2 * TIMEOUT_MS)
    expect(figure(page, "waiting")).to_have_text("0")


def readings(page: Page) -> Locator:
    """What the chart of the temperature says that it shows."""
    return page.get_by_role("img", name=re.compile("^temperature:"))


@pytest.mark.long
def test_sliders_and_power(demo: Tool, visits: Visits) -> None:
    """A slider changes the next Readings, and is let go of; a power cut is another boot, and costs
    nothing that was there.
    """
    visit = visits(address(demo))
    page = visit.at()
    expect(page).to_have_url(re.compile("#/node/node-1$"))
    expect(readings(page)).to_have_attribute("aria-label", re.compile("°C last"))
    page.get_by_label("Temperature", exact=True).fill("61.5")
    expect(readings(page)).to_have_attribute("aria-label", re.compile("61.5.°C last"))
    page.get_by_role("button", name="Let go of Temperature").click()
    expect(readings(page)).not_to_have_attribute("aria-label", re.compile("61.5.°C last"))
    first = re.search(r"online boot (\d+)", demo.text)
    assert first
    page.get_by_role("button", name="Cut the power").click()
    expect(page.locator(".events")).to_contain_text(f"boot {int(first[1]) + 1}")
    taken = number(figure(page, "taken"))
    expect(figure(page, "taken")).not_to_have_text(f"{taken}")
    visit.is_quiet()


@pytest.mark.long
@pytest.mark.parametrize("fault", ["Network pulled", "Broker killed", "TLS stalled"])
def test_readings_wait_and_come_late(demo: Tool, visits: Visits, fault: str) -> None:
    """Pulled, killed, stalled: Readings wait, are shown to wait, and then all arrive, as late ones,
    in their places.
    """
    visit = visits(address(demo), size=(1280, 720))
    page = visit.at()
    expect(readings(page)).to_have_attribute("aria-label", re.compile("°C last"))
    pull(page, fault, True)
    expect(page.locator(".wire")).to_have_class(re.compile("down"))
    expect(figure(page, "waiting")).to_have_text(re.compile(r"^(9|\d\d+)$"))
    if fault == "Broker killed":
        expect(page.locator(".broker")).to_have_text("no broker")
    if fault == "Network pulled":
        expect(page.locator(".node-head")).to_contain_text("offline")
        assert not visit.hindrances()
    pull(page, fault, False)
    all_there(page)
    expect(figure(page, "late")).not_to_have_text("0")
    expect(readings(page)).to_have_attribute("aria-label", re.compile("came late"))
    assert number(figure(page, "taken")) - number(figure(page, "arrived")) <= 1
    visit.is_quiet()


@pytest.mark.long
@pytest.mark.parametrize("lever", ["DHT22 unplugged", "DHT22 with bad checksums"])
def test_the_sensor_is_unplugged_or_spoilt(demo: Tool, visits: Visits, lever: str) -> None:
    """There are no Readings, then an alert; and both end with the fault."""
    visit = visits(address(demo))
    page = visit.at()
    # By two of them it is known how often they come, also where the first health was not heard.
    expect(figure(page, "arrived")).to_have_text(re.compile(r"^([2-9]|\d\d+)$"))
    expect(readings(page)).to_have_attribute("aria-label", re.compile("°C last"))
    pull(page, lever, True)
    expect(page.locator(".alerts li").first).to_be_visible()
    expect(readings(page)).to_have_attribute("aria-label", re.compile("gap"))
    pull(page, lever, False)
    expect(page.locator(".alerts li")).to_have_count(0)
    visit.is_quiet()


@pytest.mark.long
def test_pictures(demo: Tool, visits: Visits, pytestconfig: pytest.Config) -> None:
    """An outage that is over, its Readings late in their places, and one that goes on."""
    if not pytestconfig.getoption("--pictures"):
        pytest.skip("--pictures writes them")
    visit = visits(address(demo), size=(1280, 720))
    page = visit.at()
    slider = page.get_by_label("Temperature", exact=True)

    warmth = (f"{23.4 + 1.5 * math.sin(step / 7):.1f}" for step in itertools.count())

    def measure(seconds: int) -> None:
        """Have it warm and cool meanwhile."""
        for _ in range(seconds // 2):
            slider.fill(next(warmth))
            page.wait_for_timeout(2000)

    expect(readings(page)).to_have_attribute("aria-label", re.compile("°C last"))
    measure(44)
    pull(page, "Network pulled", True)
    measure(44)
    pull(page, "Network pulled", False)
    all_there(page)
    measure(32)
    pull(page, "Network pulled", True)
    measure(34)
    picture(visit, "outage")
