"""What the browser is given: nothing that makes markup out of text, nothing from elsewhere, the
libraries that their note says; and its pure modules, run in a real Chromium.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from limpet.page.serving.application import STATIC
from support.brokers.running import RunningBroker
from support.browser.chromium import Visits
from support.browser.serving import Serve

UPLOT = STATIC / "vendor" / "uplot"
# What makes code or markup out of text.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc"
    r"|createContextualFragment|setHTML|DOMParser|\bstyle=\"|\bon\w+=\""
)
OURS = [*STATIC.glob("js/*.js"), *STATIC.glob("css/*.css"), STATIC / "index.html"]


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_no_text_becomes_markup(path: Path) -> None:
    """Nor is anything asked for that another server has; and what is imported is there."""
    text = path.read_text("utf-8")
    assert not MARKUP.findall(text)
    addresses = re.findall(r"https?://[^\s\"'`)]+", text)
    assert all(each.startswith("http://www.w3.org/") for each in addresses)
    for name in re.findall(r"from \"\./([^\"]+)\"", text):
        assert (path.parent / name).is_file(), name
    for name in re.findall(r"=\"/static/([^\"]+)\"", text):
        assert (STATIC / name).is_file(), name


def test_uplot_is_what_its_note_says() -> None:
    """Unchanged, by the hashes of the note, with its licence."""
    note = (UPLOT / "VERSION").read_text("utf-8")
    known = dict(re.findall(r"([0-9a-f]{64})  (\S+)", note))
    found = {hashlib.sha256(each.read_bytes()).hexdigest(): each.name for each in UPLOT.iterdir()}
    assert len(known) == 3
    assert known.items() <= found.items()


SERIES = """async () => {
    const { Series } = await import("/static/js/series.js");
    const line = (column) => column.map((value) => value ?? "-").join(" ");
    const shown = (series) => series.columns(2).slice(3).map(line);
    const series = new Series();
    for (const t of [10, 12, 20, 22]) series.add(t, t, false, 2);
    const broken = shown(series);
    for (const t of [18, 14, 16, 14]) series.add(t, t, true, 2);
    const filled = shown(series);
    series.add(24, null, false, 2);
    series.add(26, "x", false, 2);
    series.add(28, 1e308, false, 2);
    const hostile = shown(series);
    const stored = new Series();
    const [min, max] = [[1, 1, null, 1], [1, 3, null, 1]];
    stored.load({ ts: [0, 2, 6, 8], min, mean: min, max }, 2, [[8, 9]]);
    const [wide, last] = [stored.wide, series.last()[1]];
    return { broken, filled, hostile, stored: shown(stored), wide, last };
}"""

WORDS = """async () => {
    const { ago, bytes, number, plain, quantity, span } = await import("/static/js/format.js");
    const { paths } = await import("/static/js/spark.js");
    const { tree } = await import("/static/js/topics_view.js");
    const line = (points) => paths(points).line;
    const topic = (name, n) => ({ topic: name, n });
    const root = tree([topic("a/b", 2), topic("a//c", 1), topic("__proto__/x", 1)]);
    const far = line([[0, 1], [1, 2], [2, 1], [20, 2]]).split("M").length - 1;
    const numbers = [24.44, -3, 0, 1e308, -1e-9, null, NaN, "7"];
    return {
        numbers: numbers.map((each) => number(each, "°C")),
        whole: [number(12), quantity(3.456, "V"), bytes(2048)],
        plain: [1796034129, -5, {}, { a: 1 }, null, true].map(plain),
        spans: [0, 119, 120, 7199, 7200, 200000, Infinity, null].map(span),
        agos: [ago(0, 100), ago(99, 100), ago(40, 100)],
        sparks: ["", line([[0, 1]]), line([[0, 5], [1, 5]]), far, line([[0, -1e308], [1, 1e308]])],
        tree: [...root.kids].map(([name, each]) => [name, each.n]),
    };
}"""


EVERY_OBJECT_HAS = """async () => {
    const { Settings } = await import("/static/js/facts.js");
    const { own } = await import("/static/js/format.js");
    const settings = new Settings();
    settings.draw({ reported: { a: 1 }, desired: { a: 1, constructor: 2, toString: 3 } });
    const there = settings.element.querySelectorAll("tbody td");
    const cells = [...there].map((each) => each.textContent);
    const members = [{}, null, undefined, []].map((each) => own(each, "constructor") === undefined);
    return { cells, members };
}"""


def test_what_every_object_has(broker: RunningBroker, serve: Serve, visits: Visits) -> None:
    """A device may call a member as it likes; what it has not said is not made of JavaScript's."""
    visit = visits(serve(broker.port))
    found: dict[str, Any] = visit.at().evaluate(EVERY_OBJECT_HAS)
    assert found["cells"] == ["1", "1", "–", "2, not yet", "–", "3, not yet"]  # noqa: RUF001
    assert found["members"] == [True] * 4
    visit.is_quiet()


TOLD = """async () => {
    const { Events } = await import("/static/js/events.js");
    const { rows } = await import("/static/js/facts.js");
    const events = new Events("node-1");
    const each = (text, ts) => ({ id: "node-1", kind: "command", ts, text, weight: "" });
    events.load([each("a", 10.4), each("b", 10), each("c", 12), each("d", 10.2)]);
    events.add(each("e", 12));
    events.add(each("f", 11));
    events.end();
    const whats = [...events.list.querySelectorAll(".what")];
    const happened = whats.map((it) => it.textContent).join("");
    const health = { queued: 3, heap: 5000, up: 5 };
    const node = { health, health_at: 100, session: 2, losses: {} };
    const card = { seen: 398 };
    const told = ([name, text]) => `${name}: ${text}`;
    const said = (...waiting) => rows(card, node, 400, ...waiting).map(told);
    return { happened, health: said(), levers: said(7) };
}"""


def test_what_is_told(broker: RunningBroker, serve: Serve, visits: Visits) -> None:
    """What happened, the newest first, also within a second; and what is of the last health stands
    below how old that is, unless it is known better.
    """
    visit = visits(serve(broker.port))
    found: dict[str, Any] = visit.at().evaluate(TOLD)
    assert found["happened"] == "ecfdba"
    health = [each.replace("\u00a0", " ") for each in found["health"]]
    at = health.index("health: as said 5 min ago:")
    assert "waiting on the node: 3 Readings" in health[at:]
    assert "connections lost: none" in health[at:]
    levers = [each.replace("\u00a0", " ") for each in found["levers"]]
    assert levers.index("waiting on the node: 7 Readings") < levers.index(health[at])
    assert not any("3 Readings" in each for each in levers)
    visit.is_quiet()


def test_pure_modules(broker: RunningBroker, serve: Serve, visits: Visits) -> None:
    """Series break where values are missing, and late ones close that; whatever the numbers."""
    visit = visits(serve(broker.port))
    page = visit.at()
    series: dict[str, Any] = page.evaluate(SERIES)
    assert series["broken"] == ["10 12 - 20 22", "- - - - -"]
    assert series["filled"] == ["10 12 14 16 18 20 22", "- - 14 16 18 - -"]
    assert series["hostile"][0] == "10 12 14 16 18 20 22 - - 1e+308"
    assert series["stored"] == ["1 1 - 1", "- - - 1"]
    assert (series["wide"], series["last"]) == (True, 1e308)
    words: dict[str, Any] = page.evaluate(WORDS)
    assert words["numbers"] == ["24.4", "−3.0", "0.0", "1.0e+308", "−1.0e−9", "–", "?", "?"]  # noqa: RUF001
    assert words["whole"] == ["12", "3.46\u00a0V", "2.0 KB"]
    assert words["plain"] == ["1,796,034,129", "−5", "none", '{"a":1}', "–", "true"]  # noqa: RUF001
    spans = [each.replace("\u00a0", " ") for each in words["spans"]]
    assert spans == ["0 s", "119 s", "2 min", "119 min", "2 h", "2 d", "–", "–"]  # noqa: RUF001
    assert words["agos"] == ["never heard", "just now", "60\u00a0s ago"]
    assert words["sparks"] == ["", "", "M0.0 15.0L100.0 15.0", 2, "M0.0 30.0L100.0 0.0"]
    assert words["tree"] == [["a", 3], ["__proto__", 1]]
    visit.is_quiet()
