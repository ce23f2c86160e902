"""The levers as a page has them: what there is, what is refused, and who hears of it."""

from __future__ import annotations

import json
import math
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import laptop_sensors
from limpet.operating.levers import sensors
from limpet.operating.levers.lever import BUTTON, FAULT, SWITCH, Lever, State
from limpet.operating.levers.levers import Levers, NoLever, Pulled
from limpet.operating.levers.sensors import Wanted
from limpet.shared.problem import Problem


def levers(tmp_path: Path, table: str = "dht22") -> tuple[Levers, Wanted]:
    """Levers of a table's sensors, and what is wanted by them."""
    wanted = Wanted(tmp_path / "wanted.json")
    return Levers(sensors.levers(laptop_sensors.setting(table), wanted)), wanted


def said(wanted: Wanted) -> Any:
    """What the Board reads."""
    return json.loads(wanted.path.read_text())


def of(described: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """One of them."""
    (found,) = [each for each in described if each["name"] == name]
    return found


def test_each_kind_of_sensor_has_its_levers(tmp_path: Path) -> None:
    """Sliders by what the driver declares, switches; a supply has no slider and no checksum."""
    made, _ = levers(tmp_path, "dht22,ds18b20:outdoor,dht11:old,sht4x:a,sht3x:b,supply")
    described = json.loads(json.dumps(made.describe()))
    ranges = {
        each["field"]: (each["min"], each["max"], each["unit"])
        for each in described
        if each["kind"] == "slider"
    }
    assert ranges == {
        "temperature": (-40, 80, "°C"),
        "humidity": (0, 100, "%"),
        "outdoor_temperature": (-55, 125, "°C"),
        "old_temperature": (-20, 60, "°C"),
        "old_humidity": (5, 95, "%"),
        "a_temperature": (-40, 125, "°C"),
        "a_humidity": (0, 100, "%"),
        "b_temperature": (-40, 125, "°C"),
        "b_humidity": (0, 100, "%"),
    }
    switches = [each["name"] for each in described if each["kind"] == "switch"]
    assert [name for name in switches if "supply" in name] == ["supply-unplugged"]
    assert len(switches) == 11
    for each in described:
        assert re.fullmatch("[a-z0-9_-]+", each["name"])
        assert (each["group"], each["on"], each["value"]) == ("sensor", False, None)
        assert each["label"]
        assert each["help"].endswith(".")
        assert len(each) == 12
    assert len({each["name"] for each in described}) == len(described)
    assert len({each["label"] for each in described}) == len(described)


def test_what_is_set_is_wanted_in_the_drivers_numbers(tmp_path: Path) -> None:
    """Tenths and hundredths; null and false are as captured again. 0 is a value."""
    made, wanted = levers(tmp_path, "dht22,ds18b20:outdoor")
    assert not wanted.path.exists()
    made.set("dht22-temperature", -7.149)
    made.set("dht22-humidity", 0)
    made.set("ds18b20-outdoor-temperature", 125)
    described = made.set("ds18b20-outdoor-unplugged", True)
    assert said(wanted) == {
        "dht22": {"temperature": -71, "humidity": 0},
        "ds18b20:outdoor": {"temperature": 12500, "unplugged": True},
    }
    assert of(described, "dht22-temperature")["value"] == -7.1
    assert of(described, "dht22-humidity")["on"] is True
    for name in ("dht22-temperature", "dht22-humidity", "ds18b20-outdoor-temperature"):
        described = made.set(name, None)
        assert of(described, name)["on"] is False
    made.set("ds18b20-outdoor-unplugged", False)
    assert said(wanted) == {}


def test_each_write_has_a_later_second(tmp_path: Path) -> None:
    """By which the node, which sees no more of a file's time, tells them apart."""
    made, wanted = levers(tmp_path)
    seen = []
    for value in (10, 20, 30):
        made.set("dht22-temperature", value)
        seen.append((wanted.path.stat().st_size, int(wanted.path.stat().st_mtime)))
    assert len(set(seen)) == 3
    assert [each.name for each in tmp_path.iterdir()] == ["wanted.json"]


@pytest.mark.parametrize(
    "value",
    [81, -40.1, math.nan, math.inf, -math.inf, 10**400, "21", True, False, [], {}, "x" * 10_000],
)
def test_nonsense_for_a_slider(tmp_path: Path, value: Any) -> None:
    """It is refused in two short sentences, with what may be said, and nothing changes."""
    made, wanted = levers(tmp_path)
    made.set("dht22-temperature", 20)
    with pytest.raises(Problem) as caught:
        made.set("dht22-temperature", value)
    assert caught.value.cause.startswith("Temperature: ")
    assert len(caught.value.text()) < 250
    assert "-40 to 80 (°C), or null" in caught.value.remedy
    assert of(made.describe(), "dht22-temperature")["value"] == 20
    assert said(wanted) == {"dht22": {"temperature": 200}}


@pytest.mark.parametrize("value", [0, 1, None, "on", "true", 1.0, [], math.nan])
def test_nonsense_for_a_switch(tmp_path: Path, value: Any) -> None:
    """Nothing but true and false."""
    made, wanted = levers(tmp_path)
    with pytest.raises(Problem, match="nothing to set it to") as caught:
        made.set("dht22-unplugged", value)
    assert caught.value.remedy == "Say true or false."
    assert not wanted.path.exists()


@pytest.mark.parametrize("name", ["", "power", "DHT22-temperature", "\x1b[2J", "../x", "x" * 5000])
def test_lever_that_there_is_not(tmp_path: Path, name: str) -> None:
    """It is named shortly, steers no terminal, and the ones that there are come with it."""
    made, _ = levers(tmp_path)
    with pytest.raises(NoLever) as caught:
        made.set(name, True)
    assert caught.value.text().replace("\n", "").isprintable()
    assert len(caught.value.text()) < 300
    assert "dht22-temperature" in caught.value.remedy


def test_folder_that_takes_nothing(tmp_path: Path) -> None:
    """A lever whose file cannot be written stays as it was, and what is wanted, too."""
    folder = tmp_path / "gone"
    folder.mkdir()
    made, wanted = levers(folder)
    made.set("dht22-temperature", 20)
    os.rename(folder, tmp_path / "away")
    with pytest.raises(Problem, match="cannot be written"):
        made.set("dht22-temperature", 30)
    assert of(made.describe(), "dht22-temperature")["value"] == 20
    os.rename(tmp_path / "away", folder)
    made.set("dht22-humidity", 50)
    assert said(wanted) == {"dht22": {"temperature": 200, "humidity": 500}}


class Recorded:
    """A lever that notes what it is told, and fails or waits where it is to."""

    def __init__(self, kind: str = SWITCH) -> None:
        self.acted: list[State] = []
        self.fails = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.begun = threading.Event()
        self.levers = Levers([Pulled(Lever("x", kind, FAULT, "X", "X.", ("on", "off")), self.act)])
        self.told: list[str] = []
        self.end = self.levers.on_change(self.told.append)

    def act(self, state: State) -> None:
        """What it does."""
        self.begun.set()
        assert self.goes_on.wait(60)
        if self.fails:
            raise Problem("It cannot be.", "So be it.")
        self.acted.append(state)

    def on(self) -> bool:
        """Whether it is said to be on."""
        return bool(of(self.levers.describe(), "x")["on"])


def test_twice_is_once() -> None:
    """What it is set to already is no change: nothing is done, and nobody told."""
    one = Recorded()
    for value in (False, True, True, False, False):
        one.levers.set("x", value)
    assert one.acted == [True, False]
    assert one.told == ["on", "off"]


def test_what_fails_stays_as_it_was() -> None:
    """It is off, nobody is told, and it can be tried again."""
    for kind in (SWITCH, BUTTON):
        one = Recorded(kind)
        one.fails = True
        with pytest.raises(Problem, match="It cannot be"):
            one.levers.set("x", True)
        assert not one.on()
        one.fails = False
        assert of(one.levers.set("x", True), "x")["on"]
        assert one.told == ["on"]


def test_button_is_on_until_the_node_boots() -> None:
    """Pressed meanwhile it does nothing; it takes no false. Each boot is told."""
    one = Recorded(BUTTON)
    with pytest.raises(Problem, match="nothing to set it to"):
        one.levers.set("x", False)
    for boot in (7, 8):
        one.levers.set("x", True)
        one.levers.set("x", True)
        one.levers.node_said("0.010 sampler reading seq=3 temperature=1")
        assert one.on()
        line = f"0.001 node boot={boot} fw=0.1.0 reset=power-on board=host device=node-1"
        one.levers.node_said(line)
        assert not one.on()
    assert one.acted == [True, True]
    assert one.told == [
        "on",
        "The node boots: boot 7, power-on.",
        "on",
        "The node boots: boot 8, power-on.",
    ]
    one.levers.node_said("0.001 node boot=9 reset=" + 100 * "\x1b[2J")
    assert one.told[-1].isprintable()
    assert len(one.told[-1]) < 200


def test_others_see_it_while_it_is_pulled() -> None:
    """Who asks does not wait; a second one's pull comes behind. Who has left is told no more."""
    one = Recorded()
    one.goes_on.clear()
    pulling = [threading.Thread(target=one.levers.set, args=("x", True))]
    pulling[0].start()
    assert one.begun.wait(60)
    assert one.on()
    assert one.told == []
    pulling.append(threading.Thread(target=one.levers.set, args=("x", False)))
    pulling[1].start()
    assert one.on()
    one.goes_on.set()
    for each in pulling:
        each.join(60)
    assert one.acted == [True, False]
    assert sorted(one.told) == ["off", "on"]
    one.end()
    one.end()
    one.levers.set("x", True)
    assert len(one.told) == 2
