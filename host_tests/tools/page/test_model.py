"""What the page keeps, whatever comes: bounded, and none of it anybody's markup or mistake."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from limpet.heard.known import Known
from limpet.identity.provisioning import Setup
from limpet.identity.registry import Device
from limpet.ingest.consumer import Message
from limpet.operating.operator_client import Arrival
from limpet.page.model import model as models
from limpet.page.model import topics
from limpet.page.model.model import Model
from limpet.page.model.node import ACTIONS
from limpet.page.model.series import Series
from limpet.page.serving import hub
from limpet.running.scene import Scene
from support.brokers.running import base
from support.page_here import page_here, quiet, reading, said

NOW = 1_790_000_000.0
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def model(setup: Setup) -> Model:
    """One that has heard nothing yet, and is connected."""
    made = Model(Known(setup.layout.root, None, quiet), NOW, lambda topic, said: None)
    made.connection(True, 1, NOW)
    made.look(NOW)
    return made


def test_a_card(model: Model) -> None:
    """What a device has said last is on it, and what is wrong with it."""
    model.take(said("status", {"status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}), NOW)
    model.take(said("telemetry", reading(3, NOW, boot=7, temperature=24.4, humidity=None)), NOW)
    model.take(said("health", {"ts": int(NOW), "up": 9, "interval_s": 10, "queued": 2}), NOW)
    card = model.card("node-1", NOW, spark=True)
    assert (card["state"], card["trouble"], card["place"]) == (
        "online",
        "online",
        ["home", "desk", "climate"],
    )
    assert card["values"] == {"temperature": 24.4, "humidity": None}
    assert (card["seq"], card["boot"], card["queued"]) == (3, 7, 2)
    assert card["spark"] == [(int(NOW), 24.4)]
    model.look(NOW)
    number = model.number
    model.look(NOW + 30)
    assert model.newer(number) == []
    model.look(NOW + 100)  # three intervals, and 30 s
    assert model.newer(number) == ["node-1"]
    assert model.card("node-1", NOW + 100)["state"] == "silent"


def test_nobody_is_silent_while_nobody_is_heard(model: Model) -> None:
    """While the broker is away a device is as it was when that went."""
    model.take(said("telemetry", reading(3, NOW)), NOW)
    model.connection(False, 1, NOW + 1)
    model.look(NOW + 10_000)
    assert model.card("node-1", NOW + 10_000)["state"] == "online"


def test_words_of_devices(model: Model) -> None:
    """They are texts of one line, cut; JSON of them is no more than a browser can take."""
    model.watched["node-1"] += 1
    alert = {"ts": int(NOW), "alert": SCRIPT + "x" * 100, "state": "raised"}
    model.take(said("alerts", alert | {"reason": "\x1b[2J\u202e" + "y" * 5000}), NOW)
    status = {"status": "offline", "boot": 1, "session": 1, "reason": SCRIPT * 100}
    model.take(said("status", status), NOW)
    response = {"id": "a", "status": "failed", "code": "x" * 5000, "text": SCRIPT}
    model.take(said("commands/response", response), NOW)
    card = model.card("node-1", NOW)
    assert len(card["alerts"][0]["name"]) == 64
    assert len(card["reason"]) == 64
    for news in model.news:
        assert len(news.frame["text"]) <= models.MAX_TEXT
    everything = json.dumps([card, [news.frame for news in model.news]], ensure_ascii=False)
    assert everything.isprintable()


@pytest.mark.parametrize("value", [1e308, -1e308, 10**400, True, "24.4", [1], {"a": 1}, "NaN"])
def test_values_that_are_none(model: Model, value: Any) -> None:
    """What no sensor says is empty, and what is beside it counts."""
    payload = json.dumps(reading(1, NOW) | {"humidity": 50.0, "temperature": value})
    text = payload.replace('"NaN"', "NaN")
    model.take(Message(f"{base()}/telemetry", text.encode(), 0, 0), NOW)
    assert model.card("node-1", NOW)["values"].get("temperature") is None
    series = model.nodes["node-1"].series
    for row in series.rows(range(len(series))):
        assert row.values["humidity"] == 50.0


def test_a_response_names_its_command(model: Model) -> None:
    """By what was asked under its id, whatever that is; of so many it is remembered."""
    for i in range(100):
        model.take(said("commands", {"id": f"c{i}", "action": f"read{i}"}), NOW)
    model.take(said("commands", {"id": [], "action": "ping"}), NOW)
    for name in ("c99", "c0"):
        model.take(said("commands/response", {"id": name, "status": "executed"}), NOW)
    events = [each["text"] for each in model.nodes["node-1"].events]
    assert events[-2:] == ["c99 read99 executed", "c0 executed"]
    assert len(model.nodes["node-1"].actions) == ACTIONS


def test_health_has_its_time(model: Model) -> None:
    """None before the first, and again with a boot that has not said any."""
    birth = {"status": "online", "boot": 7, "session": 1, "fw": "0.1.0"}
    model.take(said("status", birth), NOW)
    times = [model.detail("node-1")["health_at"]]
    model.take(said("health", {"ts": int(NOW), "up": 9, "queued": 2}), NOW + 5)
    model.take(said("telemetry", reading(3, NOW + 60, boot=7)), NOW + 60)
    times.append(model.detail("node-1")["health_at"])
    model.take(said("status", birth | {"boot": 8}), NOW + 90)
    times.append(model.detail("node-1")["health_at"])
    assert times == [None, NOW + 5, None]


def test_garbage(model: Model) -> None:
    """Bytes of any kind, on any topic, change nothing but what is counted."""
    rng = random.Random(7)
    kinds = [
        *("telemetry", "telemetry/backlog", "status", "health", "alerts", "commands"),
        *("commands/response", "config/desired", "config/reported", "log", "", "x/y/z/w"),
    ]
    good = json.dumps(reading(1)).encode()
    for _ in range(5000):
        payload = bytearray(rng.choice([good, rng.randbytes(rng.randrange(60)), b"[" * 3000]))
        for _ in range(rng.randrange(4)):
            if payload:
                payload[rng.randrange(len(payload))] = rng.randrange(256)
        device = rng.choice(["node-1", "nobody", SCRIPT, "x" * 3000])
        topic = rng.choice([f"{base(device)}/{rng.choice(kinds)}", None, "", "/", "$SYS/x", "a/b"])
        model.take(Message(topic, bytes(payload), 0, 0, rng.random() < 0.5), NOW)
    model.look(NOW)
    for name in model.bases:
        json.dumps([model.card(name, NOW, spark=True), model.detail(name)], allow_nan=False)
    json.dumps(model.topics.rows(), allow_nan=False)
    assert set(model.nodes) == set(model.bases)


@pytest.mark.parametrize(
    "value",
    ["NaN", "1e999", '"\\ud800"', '{"\\udfff": [-Infinity]}', "[" * 900 + "]" * 900, "7", "[7]"],
)
def test_what_no_browser_can_read(model: Model, value: str) -> None:
    """Python's parser takes more than JSON has: none of it goes on to browsers, wherever it is."""
    model.watched["node-1"] += 1
    frames: list[Any] = []
    for kind, rest in {
        "config/reported": "",
        "config/desired": "",
        "health": '"ts": 1, "up": 1, "downs": {}, ',
        "status": '"status": "online", "boot": 1, "session": 1, ',
        "alerts": '"ts": 1, "alert": "x", "state": "raised", ',
        "commands/response": '"id": "x", "status": "executed", ',
    }.items():
        members = ["reported", "alerts", "reason", "outage", "rssi", "result", "text", "a"]
        for name in members:
            text = f'{{{rest}"{name}": {value}}}'.encode()
            model.take(Message(f"{base('node-1')}/{kind}", text, 0, 0), NOW)
            frames.append(model.detail("node-1", trend=True))
    frames += [model.card("node-1", NOW), *(each.frame for each in model.news)]
    frames.append({"result": json.loads(f'{{"a": {value}}}')})
    for each in frames:
        json.loads(hub.words(each).encode(), parse_constant=pytest.fail)


def test_ten_thousand_topics(model: Model) -> None:
    """So many are kept, and no more; names and payloads are cut."""
    for i in range(topics.MOST + 500):
        name = f"limpet/{i:06}/" + "t" * 300
        model.take(Message(name, b"r" * 10_000, 0, 0, True), NOW)
    assert len(model.topics.by_name) == topics.MOST
    assert model.topics.more == 500
    rows = model.topics.rows()
    assert len(rows) == topics.SHOWN
    assert len(json.dumps(rows)) < topics.SHOWN * 800
    # What is retained goes when it is cleared.
    name = f"{base()}/status"
    shown = topics.Topics()
    shown.take(name, b"{}", True, NOW)
    assert shown.by_name[name].retained == "{}"
    shown.take(name, b"", False, NOW)
    assert shown.by_name[name].retained is None


def test_series() -> None:
    """The newest are kept, in order, each once; what comes late is put where it belongs."""
    series = Series()
    for seq in range(0, 2000, 2):
        assert series.add(seq, 1, seq, {"a": seq}, late=False, most=100)
    assert 100 <= len(series) <= 112
    first = series.times[0]
    assert series.full
    assert not series.add(first - 1, 1, first - 1, {"a": 0}, late=True, most=100)
    assert series.add(first + 1, 1, first + 1, {"b": 5}, late=True, most=200)
    assert not series.add(first + 1, 1, first + 1, {"b": 5}, late=True, most=200)
    rows = list(series.rows(range(3)))
    assert [row.ts for row in rows] == [first, first + 1, first + 2]
    assert rows[1].values == {"a": None, "b": 5}
    assert series.late(range(len(series))) == [(first + 1, first + 1)]
    assert len(series.spark(40)) <= 40
    assert series.spark(40)[-1] == (1998, 1998)


def test_all_series_together(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many devices and fields there are, so many values are kept of all together."""
    monkeypatch.setattr(models, "MOST_VALUES", 20_000)
    known = Known(setup.layout.root, None, quiet)
    devices = {f"many-{i}": Device(base(f"many-{i}")) for i in range(20)}
    known.registry.devices.clear()
    known.registry.devices.update(devices)
    monkeypatch.setattr(known, "refresh", lambda: {n: d.base for n, d in devices.items()})
    model = Model(known, NOW, lambda topic, said: None)
    for seq in range(300):
        for name in devices:
            values: dict[str, Any] = {f"f{i}": float(seq) for i in range(9)}
            model.take(said("telemetry", reading(seq, NOW + seq, **values), name), NOW + seq)
    kept = sum(len(each.series) * (1 + len(each.series.fields)) for each in model.nodes.values())
    assert 0.5 * 20_000 < kept < 1.3 * 20_000


def test_a_batch(model: Model) -> None:
    """Of a backlog each Reading is in its place; who looks on is told that it was late."""
    model.watched["node-1"] += 1
    batch = {"boot": 1, "seq": 0, "ts": int(NOW) - 900, "dt": 10, "temperature": [20.0] * 50}
    model.take(said("telemetry/backlog", batch), NOW)
    (news,) = [each for each in model.news if each.kind == "readings"]
    assert news.frame["late"]
    assert len(news.frame["rows"]) == 50
    model.take(said("telemetry/backlog", batch), NOW)  # its PUBACK was lost
    assert len(model.nodes["node-1"].series) == 50


def test_charts_and_panel_call_the_same_late(model: Model) -> None:
    """What came as a batch, however new; and what came alone, and is too old for its interval."""
    scene = Scene(base())
    scene.on_log("0.001 node boot=1 fw=0.1.0 reset=power-on board=host device=node-1", NOW)

    def take(kind: str, message: dict[str, Any], at: float) -> None:
        model.take(said(kind, message), at)
        scene.on_message(Arrival(f"{base()}/{kind}", json.dumps(message).encode(), False, at))

    def sampled(seq: int) -> None:
        scene.on_log(f"1.000 sampler reading seq={seq} temperature=20", NOW + 5 * seq)

    take("health", {"ts": int(NOW), "up": 1, "interval_s": 5, "queued": 0}, NOW)
    for seq in range(10):
        sampled(seq)
    take("telemetry", reading(0, NOW, boot=1, temperature=20), NOW + 0.1)
    take("telemetry", reading(1, NOW + 5, boot=1, temperature=20), NOW + 23)
    take("telemetry", reading(2, NOW + 10, boot=1, temperature=20), NOW + 35)
    batch = {"boot": 1, "seq": 3, "ts": int(NOW) + 15, "dt": 5, "temperature": [20.0] * 6}
    take("telemetry/backlog", batch, NOW + 41)
    take("telemetry", reading(9, NOW + 45, boot=1, temperature=20), NOW + 45.1)
    take("telemetry/backlog", batch, NOW + 46)  # its PUBACK was lost
    series = model.nodes["node-1"].series
    assert [row.seq for row in series.rows(range(len(series))) if row.late] == [*range(2, 9)]
    assert (scene.arrived, scene.late) == (10, 7)


def test_too_much_news(model: Model) -> None:
    """What is more than anybody can be told is counted, and not kept."""
    model.watched["node-1"] += 1
    for i in range(models.MOST_NEWS + 300):
        model.take(said("alerts", {"ts": i, "alert": "x", "state": "raised"}), NOW)
    assert len(model.news) == models.MOST_NEWS
    assert model.left_out == 300
    assert len(model.nodes["node-1"].events) == 200


def test_settings(model: Model) -> None:
    """What is desired and reported is shown, within bounds, and goes when it is cleared."""
    model.take(said("config/desired", {"interval_s": 60}, retained=True), NOW)
    model.take(said("config/reported", {"interval_s": 30}, retained=True), NOW)
    detail = model.detail("node-1")
    assert (detail["desired"]["interval_s"], detail["reported"]["interval_s"]) == (60, 30)
    model.take(said("config/desired", {"x": "y" * 10_000}), NOW)
    assert model.detail("node-1")["desired"] is None
    model.take(Message(f"{base()}/config/reported", b"", 0, 0), NOW)
    assert model.detail("node-1")["reported"] is None


def test_who_leaves(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that the registry has no more is gone, and one that is new is there."""
    known = Known(setup.layout.root, None, quiet)
    model = Model(known, NOW, lambda topic, said: None)
    bases = dict(model.bases)
    bases["node-9"] = base("node-9")
    del bases["node-1"]
    monkeypatch.setattr(known, "refresh", lambda: bases)
    number = model.number
    model.look(time.time())
    assert model.newer(number) == ["node-9"]
    assert [name for at, name in model.gone if at > number] == ["node-1"]
    model.take(said("telemetry", reading(1)), NOW)
    assert "node-1" not in model.nodes


def test_more_leave_than_is_remembered(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser gets all that there is then, as it cannot be told of each."""
    with page_here(setup) as (page, visitor):
        model, before = page.model, dict(page.model.bases)
        many = before | {f"n{i}": base(f"n{i}") for i in range(models.MOST_NEWS + 10)}
        monkeypatch.setattr(model.known, "refresh", lambda: many)
        with model.lock:
            model.look(time.time())
        with visitor.live() as live:
            live.until(lambda frame: frame["t"] == "cards" and frame["last"])
            monkeypatch.setattr(model.known, "refresh", lambda: before)
            with model.lock:
                model.look(time.time())
            whole = live.until(lambda frame: frame["t"] == "cards" and frame["all"], before=False)
            assert {each["id"] for each in whole["cards"]} == set(before)
