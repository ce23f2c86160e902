"""What a fleet with all kinds of trouble looks like, in a real Chromium: pictures of each view, on
a laptop, a phone, in between and wide, in light and dark; and nothing in the way of anybody.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.heard.known import Known
from limpet.identity.operators import operator_identity
from limpet.ingest.asked import Address
from limpet.ingest.consumer import Message
from limpet.page.assembly import Broker, Page, listener
from limpet.page.serving.guard import Access
from playwright.sync_api import expect
from support.brokers.running import RunningBroker
from support.browser.chromium import TIMEOUT_MS, Scheme, Visits, picture

PLACES = ("attic", "cellar", "kitchen", "garage", "greenhouse", "study")
COUNT = 24
EACH_S = 30
HOUR_S = 3600
AS_OF = re.compile(r"as of (\d{4}-\d\d-\d\d )?\d\d:\d\d")
expect.set_options(timeout=TIMEOUT_MS)


class Teller:
    """Says to a page's model what devices would have said in the last hour."""

    def __init__(self, page: Page, bases: dict[str, str]) -> None:
        self._model = page.model
        self._bases = bases
        self.now = time.time()

    def says(self, device: str, suffix: str, ago_s: float, **said: object) -> None:
        """Have a device say something so long ago."""
        payload = json.dumps({"v": 1, **said}).encode()
        message = Message(f"{self._bases[device]}/{suffix}", payload, 0, 0)
        with self._model.lock:
            self._model.take(message, self.now - ago_s)
            # It was listened to all the time.
            self._model.fleet.devices[device].began = self.now - HOUR_S

    def lives(self, device: str, number: int, until_s: float = 0) -> None:
        """A birth, health, and Readings until so long ago."""
        birth = {"status": "online", "boot": 3, "session": 2, "fw": "0.1.0", "reset": "power-on"}
        self.says(device, "status", HOUR_S, **birth)
        for seq in range(int((HOUR_S - until_s) / EACH_S)):
            ago_s = HOUR_S - seq * EACH_S
            t = seq / 17 + number
            values = {
                "temperature": round(
                    19 + number % 5 + 1.6 * math.sin(t) + 0.1 * math.sin(9 * t), 1
                ),
                "humidity": round(52 + number % 7 - 4 * math.sin(t / 1.7) + math.sin(5 * t) / 3, 1),
            }
            if number % 6 == 4:
                values["supply"] = round(3.7 - seq / 900, 2)
            ts = int(self.now - ago_s)
            self.says(device, "telemetry", ago_s, ts=ts, boot=3, seq=seq, **values)
            if seq % 4 == 0:
                waits = 14 if device == "node-7" else 0
                health = {"up": 9000 + seq, "interval_s": EACH_S, "queued": waits, "dropped": 0}
                health |= {"heap": 61_000 + 900 * (seq % 7), "heap_min": 52_000}
                health |= {"rssi": -48 - 7 * (number % 6) - seq % 3, "handshake_ms": 1240}
                self.says(device, "health", ago_s, ts=ts, **health, downs={"tcp-timeout": 2})


@pytest.fixture
def address(broker: RunningBroker, tmp_path: Path) -> Iterator[str]:
    """Serve a page about a fleet with trouble of each kind; its address."""
    names = [f"node-{number}" for number in range(1, COUNT + 1)]
    bases = {each: f"limpet/home/{PLACES[at % 6]}/climate/{each}" for at, each in enumerate(names)}
    registry = tmp_path / "devices.json"
    registry.write_text(json.dumps(bases))
    me = operator_identity(broker.setup.layout.root)
    to = Address((("127.0.0.1", broker.port),), None, me.name, me.ca, me.cert, me.key)
    listens, _ = listener("127.0.0.1", 0)
    known = Known(None, registry, print)
    page = Page("Home", known, Broker(to, ()), Access(frozenset(("127.0.0.1",))), listens, print)
    with page:
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        while not page.model.up and time.monotonic() < deadline:
            time.sleep(0.05)
        teller = Teller(page, bases)
        for number, device in enumerate(names):
            if device != "node-23":
                silent_s = {"node-4": 1500, "node-9": 400, "node-14": 900}.get(device, EACH_S)
                teller.lives(device, number, silent_s)
        teller.says("node-9", "status", 380, status="offline", reason="lost", boot=3, session=2)
        raised = {"ts": int(teller.now - 240), "alert": "no-readings", "state": "raised"}
        teller.says("node-12", "alerts", 240, **raised, reason="timeout")
        yield page.url.rstrip("/")
    me.release()


LOOKS: list[tuple[str, Scheme, tuple[int, int], str]] = [
    ("fleet-light", "light", (1280, 800), "#/"),
    ("fleet-dark", "dark", (1280, 800), "#/"),
    ("fleet-wide", "light", (1920, 1080), "#/"),
    ("fleet-between", "dark", (768, 1024), "#/"),
    ("fleet-phone", "light", (360, 740), "#/"),
    ("table", "light", (1280, 800), "#/table"),
    ("table-phone", "dark", (360, 740), "#/table"),
    ("topics", "light", (1280, 800), "#/topics"),
    ("node-light", "light", (1280, 800), "#/node/node-5"),
    ("node-dark", "dark", (1920, 1080), "#/node/node-12"),
    ("phone", "light", (360, 740), "#/node/node-9"),
]


@pytest.mark.long
def test_all_kinds_of_trouble(address: str, visits: Visits) -> None:
    """Each view says what is wrong, fits its window, and axe-core finds nothing serious."""
    for name, scheme, size, view in LOOKS:
        visit = visits(address, size=size, scheme=scheme)
        page = visit.at(view)
        first = {"#/": ".card", "#/table": "tbody a", "#/topics": ".topic"}.get(view, ".facts dd")
        expect(page.locator(first).first).to_be_visible()
        if "node" in view:
            expect(page.locator(".chart-now").first).to_contain_text("°C")
        page.wait_for_timeout(300)  # two frames of the server: all is drawn
        picture(visit, name)
        if "node" in view:
            picture(visit, f"{name}-whole", whole=True)
        found = visit.hindrances()
        assert not found, (found, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], name
        visit.is_quiet()
    page = visits(address).at()
    cards = page.locator(".card")
    expect(cards.nth(0)).to_contain_text("silent")
    expect(page.locator('.card[data-id="node-9"]')).to_contain_text("lost")
    expect(page.locator('.card[data-id="node-12"]')).to_contain_text("no-readings")
    expect(page.locator('.card[data-id="node-7"]')).to_contain_text("14 waiting")
    expect(page.locator('.card[data-id="node-23"]')).to_contain_text("never heard")


@pytest.mark.long
def test_while_the_broker_is_away(address: str, broker: RunningBroker, visits: Visits) -> None:
    """Each card and row, and a node's own view, say of when they are; and again as ever when it is
    back.
    """
    schemes: tuple[Scheme, ...] = ("light", "dark")
    pages = [(each, visits(address, scheme=each)) for each in schemes]
    shown = []
    for _, visit in pages:
        page = visit.at("#/")
        expect(page.locator(".card").first).to_be_visible()
        shown.append(page)
    broker.stop()
    for scheme, visit in pages:
        page = visit.page
        expect(page.locator('.card[data-id="node-5"]')).to_contain_text(AS_OF)
        expect(page.locator('.card[data-id="node-23"]')).to_contain_text("never heard")
        picture(visit, f"away-{scheme}")
        assert not visit.hindrances()
        page.goto(f"{address}/#/table")
        expect(page.get_by_role("row", name="node-5 ")).to_contain_text(AS_OF)
        assert not visit.hindrances()
        page.goto(f"{address}/#/node/node-5")
        expect(page.locator(".node-head")).to_contain_text(AS_OF)
        picture(visit, f"away-node-{scheme}")
        page.goto(f"{address}/#/")
    broker.start()
    for page in shown:
        expect(page.locator('.card[data-id="node-5"]')).not_to_contain_text("as of")
