"""The Wokwi files: ours have no fault, and each rule finds the fault that it is there for."""

from __future__ import annotations

import dataclasses
import json
import socket
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from limpet.boards import board_facts, laptop_sensors
from limpet.boards.board_sensors import WiredSensor
from limpet.boards.image import LISTING
from limpet.simulator.diagram import faults
from limpet.simulator.diagram_sensors import simulated
from limpet.simulator.wokwi import IMAGES
from limpet.simulator.wokwi_files import scenario_faults, toml_faults
from limpet.simulator.wokwi_parts import PARTS
from support.micropython.upy import REPO
from support.nodes import StartNode
from support.sensors.one_wire import crc8

# A Board needs no diagram, but one that has it needs a good one.
NAMES = sorted(path.parent.name for path in (REPO / "boards").glob("*/diagram.json"))
SCENARIO = REPO / "boards/reading.test.yaml"

Diagram = dict[str, Any]
each_board = pytest.mark.parametrize("name", NAMES)


def diagram(name: str) -> Diagram:
    """The diagram of a Board."""
    found: Diagram = json.loads((REPO / "boards" / name / "diagram.json").read_text())
    return found


def settings(name: str) -> dict[str, Any]:
    """The wokwi.toml of a Board."""
    return tomllib.loads((REPO / "boards" / name / "wokwi.toml").read_text())


def scenario() -> dict[str, Any]:
    """The scenario that all Boards share."""
    found: dict[str, Any] = yaml.safe_load(SCENARIO.read_text())
    return found


def lint(found: Any, name: str = "esp32_devkit") -> list[str]:
    """What the linter says of a diagram for a Board."""
    return faults(found, board_facts.facts(name))


@each_board
def test_diagram_of_a_board_has_no_fault(name: str) -> None:
    """The circuit in Wokwi is the one that board.py says."""
    assert lint(diagram(name), name) == []


@each_board
def test_wokwi_toml_of_a_board_has_no_fault(name: str) -> None:
    """It names the listing that `make image` leaves for this Board."""
    folder = REPO / "boards" / name
    assert toml_faults(settings(name), folder, IMAGES / name / LISTING) == []


def test_simulators_offer_their_consoles_on_different_ports() -> None:
    """Two Boards can be simulated beside each other."""
    ports = [settings(name)["wokwi"]["rfc2217ServerPort"] for name in NAMES]
    assert len(set(ports)) == len(NAMES)
    assert {"esp32_devkit", "esp32s3_devkitc", "esp32c3_devkitm"} <= set(NAMES)


# --- each rule, on a diagram that breaks it -------------------------------------------------------


def part(found: Diagram, name: str) -> dict[str, Any]:
    """The part `name` of a diagram."""
    return next(each for each in found["parts"] if each["id"] == name)


def rewire(old: str, new: str, nth: int = 0) -> Callable[[Diagram], None]:
    """Put the `nth` end that says `old` elsewhere."""

    def change(found: Diagram) -> None:
        places = [
            (wire, number)
            for wire in found["connections"]
            for number in (0, 1)
            if wire[number] == old
        ]
        wire, number = places[nth]
        wire[number] = new

    return change


def cut(end: str) -> Callable[[Diagram], None]:
    """Take all wires from an end."""

    def change(found: Diagram) -> None:
        kept = [wire for wire in found["connections"] if end not in wire[:2]]
        assert len(kept) < len(found["connections"])
        found["connections"] = kept

    return change


def join(one: str, other: str) -> Callable[[Diagram], None]:
    """Add a wire."""
    return lambda found: found["connections"].append([one, other, "red", []])


def attribute(name: str, key: str, value: Any) -> Callable[[Diagram], None]:
    """Set an attribute of a part."""
    return lambda found: part(found, name)["attrs"].update({key: value})


def without(name: str) -> Callable[[Diagram], None]:
    """Remove a part and its wires."""

    def change(found: Diagram) -> None:
        found["parts"].remove(part(found, name))
        found["connections"] = [
            wire
            for wire in found["connections"]
            if not any(end.startswith(name + ":") for end in wire[:2])
        ]

    return change


def another(type_: str, name: str) -> Callable[[Diagram], None]:
    """Add a part."""
    return lambda found: found["parts"].append({"type": type_, "id": name, "attrs": {}})


def rename(old: str, new: str) -> Callable[[Diagram], None]:
    """Give a part another id, in its wires too."""

    def change(found: Diagram) -> None:
        part(found, old)["id"] = new
        for wire in found["connections"]:
            for end in (0, 1):
                name, _, pin = wire[end].partition(":")
                wire[end] = f"{new}:{pin}" if name == old else wire[end]

    return change


def change(**keys: Any) -> Callable[[Diagram], None]:
    """Set members of the diagram itself."""
    return lambda found: found.update(keys)


BROKEN: dict[str, tuple[Callable[[Diagram], None], str]] = {
    "version": (change(version=2), "The diagram is no JSON object of version 1."),
    "parts no list": (change(parts={}), "Parts or connections are no list."),
    "part without a type": (
        lambda found: part(found, "dht").pop("type"),
        "Part 1 has no id or no type.",
    ),
    "attribute no string": (
        attribute("dht", "temperature", 24),
        "dht: attribute temperature is no string.",
    ),
    "connection with one end": (
        lambda found: found["connections"][2].pop(1) and found["connections"][2].pop(1),
        "Connection 2 is not [from, to, colour, [path]].",
    ),
    "path no list": (
        lambda found: found["connections"][0].__setitem__(3, "v10"),
        "Connection 0 is not [from, to, colour, [path]].",
    ),
    "two parts of one name": (
        lambda found: part(found, "pullup").update(id="series"),
        "There are two parts series.",
    ),
    "unknown type": (
        lambda found: part(found, "dht").update(type="wokwi-dht23"),
        "dht: wokwi-dht23 is no part that wokwi_parts.py knows.",
    ),
    "unknown attribute": (
        attribute("dht", "temprature", "24"),
        "dht: wokwi-dht22 has no attribute temprature.",
    ),
    "attribute no number": (
        attribute("pullup", "value", "10k"),
        "pullup: attribute value is no number: 10k.",
    ),
    # The name that Wokwi's own example uses, and that the part does not have.
    "unknown pin": (rewire("dht:VCC", "dht:VDD"), "dht:VDD: there is no such pin."),
    "pin of another board": (rewire("esp:3V3", "esp:3V3.1"), "esp:3V3.1: there is no such pin."),
    "unknown pin of the monitor": (
        rewire("$serialMonitor:RX", "$serialMonitor:DTR"),
        "$serialMonitor:DTR: there is no such pin.",
    ),
    "unknown part": (rewire("led:C", "lamp:C"), "lamp:C: there is no part lamp."),
    "no board": (without("esp"), "There are 0 boards instead of one."),
    "two boards": (
        another("board-esp32-devkit-c-v4", "esp2"),
        "There are 2 boards instead of one.",
    ),
    "flash size": (
        attribute("esp", "flashSize", "8"),
        "esp has 8 MB of flash, esp32_devkit has 4.",
    ),
    "monitor not connected": (
        cut("$serialMonitor:RX"),
        "esp:TX does not lead to $serialMonitor:RX.",
    ),
    "keyboard not connected": (
        cut("$serialMonitor:TX"),
        "esp:RX does not lead to $serialMonitor:TX.",
    ),
    "short circuit": (join("esp:3V3", "esp:GND.1"), "3V3 and GND are joined."),
    "two GPIOs": (join("esp:27", "esp:14"), "GPIO14 and GPIO27 are joined."),
    "no sensor": (without("dht"), "There is no part for ('dht22', 27) of SENSORS."),
    "sensor of another kind": (
        lambda found: part(found, "dht").update(type="wokwi-ds18b20", attrs={}),
        "dht:SDA: there is no such pin.",
    ),
    "further sensor that nothing reads": (
        another("wokwi-dht22", "dht2"),
        "dht2:SDA is not on one GPIO.",
    ),
    "further sensor read by a rail": (
        rewire("esp:25", "esp:5V"),
        "outdoor:DQ is not on one GPIO.",
    ),
    "further sensor on the LED": (
        rewire("esp:25", "esp:26"),
        "outdoor:DQ is on GPIO26, which is LED_GPIO.",
    ),
    "two sensors on one pin": (
        rewire("esp:25", "esp:27"),
        "dht:SDA and outdoor:DQ share GPIO27.",
    ),
    "two sensors on one wire": (
        rewire("esp:25", "dht:SDA"),
        "dht:SDA and outdoor:DQ share GPIO27.",
    ),
    "further sensor without a name for its fields": (
        rename("outdoor", "Sensor 2"),
        "Sensor 2: SENSORS does not list it, and its id is no name for a sensor.",
    ),
    "further sensor without power": (cut("outdoor:VCC"), "outdoor:VCC is on no 3V3 or 5V pin."),
    "further sensor without ground": (cut("outdoor:GND"), "outdoor:GND is on no GND pin."),
    "further sensor without pull-up": (
        without("pullup2"),
        "outdoor:DQ has no pull-up of 1 to 5.6 kOhm to 3V3.",
    ),
    # Enough for a DHT22, and not for the wire of a DS18B20.
    "pull-up of 1-Wire too weak": (
        attribute("pullup2", "value", "10000"),
        "outdoor:DQ has no pull-up of 1 to 5.6 kOhm to 3V3.",
    ),
    "attribute of another sensor": (
        attribute("outdoor", "humidity", "40"),
        "outdoor: wokwi-ds18b20 has no attribute humidity.",
    ),
    "sensor without power": (cut("dht:VCC"), "dht:VCC is on no 3V3 or 5V pin."),
    "sensor powered by a GPIO": (
        rewire("esp:3V3", "esp:25"),
        "dht:VCC is on no 3V3 or 5V pin.",
    ),
    "sensor without ground": (cut("dht:GND"), "dht:GND is on no GND pin."),
    "pin that is to be left open": (join("dht:NC", "dht:GND"), "dht:NC is connected."),
    "data on another GPIO": (
        rewire("esp:27", "esp:14"),
        "dht:SDA is not on GPIO27, as SENSORS has it.",
    ),
    "data not connected": (
        rewire("esp:27", "dht:VCC"),
        "dht:SDA is not on GPIO27, as SENSORS has it.",
    ),
    "no pull-up": (without("pullup"), "dht:SDA has no pull-up of 1 to 10 kOhm to 3V3."),
    "pull-up too weak": (
        attribute("pullup", "value", "100000"),
        "dht:SDA has no pull-up of 1 to 10 kOhm to 3V3.",
    ),
    # The ESP32's pins do not stand 5 V.
    "pull-up to 5 V": (
        rewire("esp:3V3", "esp:5V", nth=1),
        "dht:SDA has no pull-up of 1 to 10 kOhm to 3V3.",
    ),
    "no LED": (without("led"), "There are 0 LEDs instead of one."),
    "LED on another GPIO": (
        rewire("esp:26", "esp:25"),
        "led:A is not on GPIO26, which is LED_GPIO, through 100 Ohm or more.",
    ),
    "LED without its resistor": (
        rewire("series:1", "series:2"),
        "led:A is not on GPIO26, which is LED_GPIO, through 100 Ohm or more.",
    ),
    "resistor too small": (
        attribute("series", "value", "10"),
        "led:A is not on GPIO26, which is LED_GPIO, through 100 Ohm or more.",
    ),
    "LED without ground": (cut("led:C"), "led:C is on no GND pin."),
    "part beside the circuit": (
        another("wokwi-resistor", "spare"),
        "spare is connected to nothing.",
    ),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_linter_finds_what_is_broken(rule: str) -> None:
    """A diagram that is broken in one way is said to be, in the words for it."""
    spoil, fault = BROKEN[rule]
    found = diagram("esp32_devkit")
    spoil(found)
    assert fault in lint(found)


@each_board
def test_wokwi_has_the_sensors_of_the_board_and_the_second_one(name: str) -> None:
    """What is simulated is SENSORS, and what the diagram has besides, named by its part."""
    facts = board_facts.facts(name)
    pins = {"esp32_devkit": 25, "esp32s3_devkitc": 6, "esp32c3_devkitm": 1}
    second = ("ds18b20", pins[name], "outdoor")
    found = simulated(diagram(name), facts)
    assert [each.line for each in found] == [*(each.line for each in facts.sensors), second]


def test_sensor_that_the_board_lists_is_no_further_one() -> None:
    """Who has wired the second sensor and lists it has it once, where the diagram has it too."""
    facts = board_facts.facts("esp32_devkit")
    both = dataclasses.replace(facts, sensors=simulated(diagram("esp32_devkit"), facts))
    assert simulated(diagram("esp32_devkit"), both) == both.sensors
    assert faults(diagram("esp32_devkit"), both) == []
    moved = dataclasses.replace(
        both, sensors=(both.sensors[0], WiredSensor("ds18b20", (14,), "outdoor"))
    )
    assert faults(diagram("esp32_devkit"), moved) == [
        "outdoor:DQ is not on GPIO14, as SENSORS has it."
    ]


def test_sensor_that_wokwi_has_not_is_named() -> None:
    """A driver for which Wokwi has no part, so that the diagram cannot have it."""
    facts = board_facts.facts("esp32_devkit")
    more = dataclasses.replace(
        facts, sensors=(*facts.sensors, WiredSensor("sht4x", (21, 22), "cellar"))
    )
    assert faults(diagram("esp32_devkit"), more) == [
        "There is no part for ('sht4x', (21, 22), 'cellar') of SENSORS."
    ]


@pytest.mark.parametrize(
    ("name", "other"),
    [("esp32_devkit", "esp32s3_devkitc"), ("esp32c3_devkitm", "esp32_devkit")],
)
def test_diagram_of_another_board_is_found(name: str, other: str) -> None:
    """The chips have to be the same: a diagram copied from another Board's folder is a fault."""
    chip, wanted = (board_facts.facts(each).chip for each in (other, name))
    assert f"esp has {chip}, {name} has {wanted}." in lint(diagram(other), name)


def test_console_on_the_chips_own_usb_needs_no_wires() -> None:
    """With serialInterface=USB_SERIAL_JTAG the monitor is not wired (Wokwi's ESP32 guide)."""
    found = diagram("esp32c3_devkitm")
    cut("$serialMonitor:RX")(found)
    cut("$serialMonitor:TX")(found)
    assert len(lint(found, "esp32c3_devkitm")) == 2
    attribute("esp", "serialInterface", "USB_SERIAL_JTAG")(found)
    assert lint(found, "esp32c3_devkitm") == []


@pytest.mark.parametrize("found", [None, [], "", {"version": 1}, {"version": 1, "parts": [1]}])
def test_linter_takes_anything(found: Any) -> None:
    """What is no diagram at all is a fault and no exception."""
    assert lint(found)


def test_table_of_parts_has_each_gpio_once() -> None:
    """No two pins of a board are the same GPIO: one of them would be a slip of the pen."""
    for part_ in PARTS.values():
        gpios = [what for what in part_.pins.values() if what.startswith("GPIO")]
        assert len(set(gpios)) == len(gpios)


# --- wokwi.toml -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "fault"),
    [
        ("version", 2, "version is not 1."),
        ("firmware", None, "firmware is no relative path with forward slashes."),
        (
            "firmware",
            "..\\..\\build\\images\\esp32_devkit\\flasher_args.json",
            "firmware is no relative path with forward slashes.",
        ),
        (
            "firmware",
            "../../build/wokwi/esp32c3_devkitm/flasher_args.json",
            "firmware is not the flasher_args.json that is made.",
        ),
        ("elf", "../../build/firmware.elf", "elf is no file, and nothing makes it."),
        ("rfc2217ServerPort", None, "rfc2217ServerPort is no port from 1024 to 65535."),
        ("rfc2217ServerPort", "4000", "rfc2217ServerPort is no port from 1024 to 65535."),
        ("rfc2217ServerPort", 80, "rfc2217ServerPort is no port from 1024 to 65535."),
        ("rfc2217Serverport", 4000, "unknown key rfc2217Serverport."),
    ],
)
def test_broken_wokwi_toml_is_found(key: str, value: Any, fault: str) -> None:
    """Each key that Wokwi would take amiss, or that leads nowhere."""
    found = settings("esp32_devkit")
    found["wokwi"][key] = value
    if value is None:
        del found["wokwi"][key]
    folder = REPO / "boards/esp32_devkit"
    firmware = IMAGES / "esp32_devkit" / LISTING
    assert toml_faults(found, folder, firmware) == [f"wokwi.toml: {fault}"]


# --- the scenario ---------------------------------------------------------------------------------


@each_board
def test_scenario_has_no_fault(name: str) -> None:
    """It fits the diagram of each Board."""
    assert scenario_faults(scenario(), diagram(name)) == []


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (
            {"set-control": {"part-id": "outdoor", "control": "humidity", "value": 1}},
            "Step 1: outdoor has no control humidity.",
        ),
        ({"wait": "1s"}, "Step 1 is none that is known."),
        ({"wait-serial": "up", "set-control": {}}, "Step 1 is none that is known."),
        (None, "Step 1 is none that is known."),
        ({"wait-serial": ""}, "Step 1 waits for no text."),
        (
            {"set-control": {"part-id": "dht22", "control": "temperature", "value": 1}},
            "Step 1: there is no part dht22.",
        ),
        (
            {"set-control": {"part-id": "dht", "control": "temp", "value": 1}},
            "Step 1: dht has no control temp.",
        ),
        (
            {"set-control": {"part-id": "dht", "control": "humidity", "value": "1"}},
            "Step 1 sets no number.",
        ),
    ],
)
def test_broken_scenario_is_found(step: Any, fault: str) -> None:
    """Each step that Wokwi would refuse, or that would wait for ever."""
    found = scenario()
    found["steps"] = [step]
    assert scenario_faults(found, diagram("esp32_devkit")) == [fault]
    assert scenario_faults(found | {"version": 2}, diagram("esp32_devkit"))


def frame(temperature: float, humidity: float) -> list[int]:
    """What a DHT22 answers, as a capture has it: levels in microseconds."""
    magnitude = round(abs(temperature) * 10) | (0x8000 if temperature < 0 else 0)
    data = round(humidity * 10).to_bytes(2, "big") + magnitude.to_bytes(2, "big")
    bits = "".join(f"{byte:08b}" for byte in (*data, sum(data) & 0xFF))
    levels = [20000, 44, 61, 81]
    for bit in bits:
        levels += [54, 73 if bit == "1" else 26]
    return [*levels, 47]


ROM = "280102030405069e"


def scratchpad(temperature: float) -> str:
    """What a DS18B20 holds after a conversion, as a capture has it: nine bytes in hex."""
    raw = round(temperature * 16) & 0xFFFF
    data = bytes((raw & 0xFF, raw >> 8, 0x4B, 0x46, 0x7F, 0xFF, 16 - (raw & 15), 0x10))
    return (data + bytes((crc8(data),))).hex()


@dataclass
class Nobody:
    """A port that nobody listens on."""

    port: int


@pytest.fixture
def nobody() -> Iterator[Nobody]:
    """A port on which every connection is refused, held so that nobody else gets it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield Nobody(held.getsockname()[1])


def test_scenario_waits_for_what_the_node_says(
    node: StartNode, nobody: Nobody, tmp_path: Path
) -> None:
    """A node whose sensors do what the scenario does to Wokwi's says all it waits for, in order,
    without a broker; but for the Board's name, which begins with esp32 on all that Wokwi has.
    """
    found = diagram(NAMES[0])
    parts = {name: dict(part(found, name)["attrs"]) for name in ("dht", "outdoor")}
    waits: list[str] = []
    indoors: list[Diagram] = []
    outdoors: list[Diagram] = []
    for step in scenario()["steps"]:
        if "set-control" in step:
            control = step["set-control"]
            parts[control["part-id"]][control["control"]] = control["value"]
        else:
            waits.append(step["wait-serial"])
            dht = {key: float(value) for key, value in parts["dht"].items()}
            indoors.append({"us": frame(dht["temperature"], dht["humidity"])})
            outdoors.append({"pad": scratchpad(float(parts["outdoor"]["temperature"]))})
    outdoors[1]["rom"] = ROM
    captures: list[Path] = []
    # The first wait is for the boot, which takes no Reading. Each state lasts for some Readings: a
    # jump is asked about twice, so that the sensors go through theirs at different paces.
    for name, states in (("indoors", indoors), ("outdoors", outdoors)):
        captures.append(tmp_path / f"{name}.jsonl")
        lines = [json.dumps({"t": n} | state) for n, state in enumerate(states[1:])]
        captures[-1].write_text("".join(8 * (line + "\n") for line in lines))
    assert waits[0] == "board=esp32"
    assert all(name.startswith("esp32") for name in NAMES)
    sensors = laptop_sensors.setting(f"dht22={captures[0]},ds18b20:outdoor={captures[1]}")
    running = node(nobody, config={"interval_s": 2}, sensors=sensors, speed=20)
    running.until("board=host")
    since = 0
    for wanted in waits[1:]:
        line = running.until(wanted, since)
        since = running.lines.index(line) + 1
    assert len(waits) == 6
