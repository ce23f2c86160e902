"""Two thousand devices, in a real Chromium: only what can be seen is in the document, and scrolling
does not stutter.
"""

from __future__ import annotations

import json
import threading
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
from playwright.sync_api import Browser, expect
from support.brokers.running import RunningBroker
from support.browser.chromium import TIMEOUT_MS, Visits

COUNT = 2000
# Each device says something every four seconds.
A_SECOND = COUNT // 4
MOST_ELEMENTS = 150
# What a long task is, in CPU time: the clock would count what other programs do meanwhile.
LONG_S = 0.1
TASKS = "disabled-by-default-devtools.timeline"
STEPS = 60
expect.set_options(timeout=TIMEOUT_MS)


def said(device: str, seq: int) -> Message:
    """A Reading of now."""
    values = {"temperature": 20 + seq % 7 / 10, "humidity": 50 + seq % 5}
    payload = {"v": 1, "ts": int(time.time()), "boot": 1, "seq": seq, **values}
    return Message(
        f"limpet/home/desk/climate/{device}/telemetry", json.dumps(payload).encode(), 0, 0
    )


def born(device: str) -> Message:
    """Its birth."""
    payload = {"v": 1, "status": "online", "boot": 1, "session": 1, "fw": "0.1.0", "reset": "soft"}
    return Message(f"limpet/home/desk/climate/{device}/status", json.dumps(payload).encode(), 0, 0)


@pytest.fixture
def address(broker: RunningBroker, tmp_path: Path) -> Iterator[str]:
    """Serve a page about two thousand devices, which go on saying something; its address."""
    devices = [f"node-{number}" for number in range(1, COUNT + 1)]
    registry = tmp_path / "devices.json"
    registry.write_text(json.dumps({each: f"limpet/home/desk/climate/{each}" for each in devices}))
    me = operator_identity(broker.setup.layout.root)
    to = Address((("127.0.0.1", broker.port),), None, me.name, me.ca, me.cert, me.key)
    access = Access(frozenset(("127.0.0.1",)))
    listens, _ = listener("127.0.0.1", 0)
    page = Page("many", Known(None, registry, print), Broker(to, ()), access, listens, print)
    ended = threading.Event()

    def talk() -> None:
        number = 0
        while not ended.wait(0.02):
            with page.model.lock:
                for _ in range(A_SECOND // 50):
                    number += 1
                    device = devices[number % COUNT]
                    page.model.take(said(device, 1 + number // COUNT), time.time())

    with page.model.lock:
        for each in devices:
            page.model.take(born(each), time.time())
    with page:
        talking = threading.Thread(target=talk)
        talking.start()
        yield f"http://127.0.0.1:{listens.getsockname()[1]}"
        ended.set()
        talking.join()
    me.release()


def tasks_s(trace: bytes) -> list[float]:
    """The CPU time of each task of the page's main thread in a trace."""
    events = json.loads(trace)["traceEvents"]
    main = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    return [
        each["tdur"] / 1e6
        for each in events
        if each["name"] == "RunTask" and (each["pid"], each["tid"]) in main and "tdur" in each
    ]


@pytest.mark.long
@pytest.mark.parametrize("view", ["#/", "#/table"])
def test_two_thousand_scroll(chromium: Browser, address: str, visits: Visits, view: str) -> None:
    """Scrolled from the top to the end while all of them say something, no task of the
    page's main thread is a long one; few elements are in the document; the last one can be reached.
    """
    visit = visits(address)
    page = visit.at(view)
    shown = page.locator("a[data-id]")
    expect(shown.first).to_be_visible()
    page.get_by_label("Sort by").select_option("name")
    expect(shown.first).to_have_attribute("data-id", "node-1")
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height > COUNT / 4 * 40
    page.mouse.move(600, 500)
    chromium.start_tracing(page=page, categories=["devtools.timeline", TASKS])
    most = 0
    for _ in range(STEPS):
        page.mouse.wheel(0, height / STEPS)
        page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))")
        most = max(most, shown.count())
    costs = tasks_s(chromium.stop_tracing())
    assert len(costs) > STEPS
    print(f"{view}: {max(costs) * 1000:.0f} ms at most, {sum(costs) / STEPS * 1000:.0f} ms a step")
    page.keyboard.press("End")
    expect(page.locator(f'a[data-id="node-{COUNT}"]')).to_be_visible()
    assert most <= MOST_ELEMENTS
    assert max(costs) < LONG_S
    visit.is_quiet()


@pytest.mark.long
def test_two_thousand_are_searched(address: str, visits: Visits) -> None:
    """One of two thousand is found by its name, and all are counted."""
    page = visits(address).at()
    chip = page.get_by_role("button", name="2,000 online")
    expect(chip).to_be_visible()
    page.get_by_role("searchbox").fill("node-1234")
    expect(page.locator("a[data-id]")).to_have_count(1)
    page.get_by_role("searchbox").press("Enter")
    expect(page.get_by_role("heading", name="node-1234")).to_be_visible()
