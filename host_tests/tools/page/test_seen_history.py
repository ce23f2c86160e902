"""Weeks of a node out of ingest's store, in a real Chromium: each stretch of time that is offered,
gaps, zooming, and the files that its links bring.
"""

from __future__ import annotations

import csv
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from limpet.identity.provisioning import Setup
from limpet.ingest.intake import Reading
from limpet.ingest.places import Place, opened, place
from limpet.ingest.store import Batch
from playwright.sync_api import Page, expect
from support.browser.chromium import TIMEOUT_MS, Visit, Visits, picture
from support.page_here import hear, page_here, reading, said

DAY = 86400
EACH_S = 600
DAYS = 40
LAST = DAYS * DAY // EACH_S
# Days ago: one where the node had no power, then one where Readings were lost.
OFF = (12, 10)
LOST = (0.5, 0.25)
expect.set_options(timeout=TIMEOUT_MS)


def weeks(until: int) -> list[Reading]:
    """Return a Reading each ten minutes for 40 days, with what is missing left out."""
    found = []
    for seq in range(LAST):
        ts = until - DAYS * DAY + seq * EACH_S
        ago = (until - ts) / DAY
        if not any(after > ago > before for after, before in (OFF, LOST)):
            daily = abs(ts % DAY - DAY / 2) / DAY
            values: dict[str, float | None] = {
                "temperature": round(24 - 10 * daily, 1),
                "humidity": round(40 + 30 * daily),
            }
            found.append(Reading("node-1", 1 if ago > OFF[1] else 2, seq, ts, None, values))
    return found


@pytest.fixture
def visit(setup: Setup, tmp_path: Path, visits: Visits) -> Iterator[Visit]:
    """Open that node."""
    where: Place = place(str(tmp_path / "limpet.db"), None)
    now = int(time.time())
    made = opened(where)
    made.write(Batch(now, weeks(now)))
    made.close()
    with page_here(setup, store=where) as (page, visitor):
        hear(page, said("health", {"ts": now, "up": 9, "interval_s": EACH_S}))
        shown = visits(visitor.url)
        shown.at("#/node/node-1")
        # Before the page has heard one, there are the charts of the store.
        expect(shown.page.get_by_role("img")).to_have_count(2)
        hear(page, said("telemetry", reading(LAST, now, boot=2, temperature=21.5, humidity=45)))
        expect(shown.page.locator(".chart-now", has_text="21.5")).to_be_visible()
        yield shown


def says(page: Page, pattern: str) -> None:
    """Wait until the chart of temperature says this of itself."""
    chart = page.get_by_role("img", name=re.compile("^temperature:"))
    expect(chart).to_have_attribute("aria-label", re.compile(pattern))


def asked(visit: Visit) -> tuple[float, float]:
    """What stretch it asked for last."""
    last = [each for each in visit.asked if "/history?" in each][-1]
    query = parse_qs(urlsplit(last).query)
    return float(query["from"][0]), float(query["to"][0])


@pytest.mark.long
def test_weeks(visit: Visit) -> None:
    """All are offered and drawn; a gap stays one at any distance; zooming asks for finer points."""
    page = visit.page
    ranges = page.get_by_role("group", name="Stretch of time").get_by_role("button")
    expect(ranges).to_have_text(["5 min", "15 min", "1 h", "24 h", "7 d", "30 d", "all"])
    for name, pattern in {
        "24 h": r" in 24\sh, 1 gap$",
        "7 d": r" in 7\sd, 1 gap$",
        "30 d": r" in 30\sd, 2 gaps$",
        "all": r" in 40\sd, 2 gaps$",
    }.items():
        with page.expect_response("**/history?*"):
            page.get_by_role("button", name=name, exact=True).click()
        says(page, r"1[89].\d\s°C to 24.0\s°C" + pattern)
        expect(page.locator(".note")).to_contain_text("The store goes back to 20")
        page.wait_for_timeout(100)  # a frame of the browser: it is drawn
        picture(visit, f"history-{name.replace(' ', '')}")
    before = asked(visit)
    # The third week of all, by a drag over the first chart.
    box = page.locator(".u-over").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 60, steps=5)
    with page.expect_response("**/history?*"):
        page.mouse.up()
    says(page, r" in [34]\sd$")
    expect(page.locator(".key-band")).to_be_hidden()
    since, until = asked(visit)
    assert before[0] == 0
    assert 3.5 * DAY < until - since < 4.5 * DAY
    picture(visit, "history-zoomed")
    with page.expect_response("**/history?*"):
        page.get_by_role("button", name="Zoom in").click()
    says(page, r" in (4\d\sh|[12]\sd)$")
    assert asked(visit)[1] - asked(visit)[0] < 0.6 * (until - since)
    page.locator(".u-over").first.dblclick()
    says(page, r" in 40\sd, 2 gaps$")
    visit.is_quiet()


def test_what_its_links_bring(visit: Visit, tmp_path: Path) -> None:
    """The Readings of the stretch that is shown, as CSV and as Parquet."""
    duckdb = pytest.importorskip("duckdb")
    page = visit.page
    page.get_by_role("button", name="7 d", exact=True).click()
    says(page, r" in 7\sd, 1 gap$")
    got = {}
    for name in ("CSV", "Parquet"):
        with page.expect_download() as coming:
            page.get_by_role("link", name=name).click()
        path = tmp_path / coming.value.suggested_filename
        coming.value.save_as(path)
        got[name] = path
    assert (got["CSV"].suffix, got["Parquet"].suffix) == (".csv", ".parquet")
    with open(got["CSV"], encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["device", "time", "ts", "boot", "seq", "temperature", "humidity"]
    assert rows[-1][3:] == ["2", str(LAST), "21.5", "45.0"]
    times = [int(row[2]) for row in rows]
    assert times == sorted(times)
    assert 7 * DAY - 3 * EACH_S < times[-1] - times[0] <= 7 * DAY
    ask = f"SELECT ts, temperature FROM '{got['Parquet']}' ORDER BY ts"  # noqa: S608
    assert [(ts, value) for ts, value in duckdb.sql(ask).fetchall()] == [
        (int(row[2]), float(row[5])) for row in rows
    ]
