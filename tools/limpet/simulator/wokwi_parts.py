"""The parts of Wokwi's that our diagrams use: their pins, attributes and controls.

From Wokwi's diagram reference, and for the boards from its repository wokwi-boards, 2026. A diagram
that needs another part adds it here.
"""

from dataclasses import dataclass

GND, V3, V5, RESET = "GND", "3V3", "5V", "reset"


@dataclass(frozen=True)
class Part:
    """A type of part. `pins` is what each pin is, by its name: GND, 3V3, 5V, reset, GPIO<n>, or
    the name itself. `numbers` and `words` are its attributes; `chip` what runs a program in it, as
    esptool writes it, or None; `controls` what a scenario may set.
    """

    pins: dict[str, str]
    numbers: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    chip: str | None = None
    controls: frozenset[str] = frozenset()


def _esp32(chip: str, headers: str) -> Part:
    """A board by the names on its headers; `TX=1` is a pin whose name does not tell its GPIO."""
    pins = {}
    for word in headers.split():
        name, _, gpio = word.partition("=")
        rail = name.partition(".")[0]
        fixed = {"GND": GND, "3V3": V3, "5V": V5, "EN": RESET, "RST": RESET}.get(rail)
        pins[name] = fixed or f"GPIO{gpio or name}"
    numbers = frozenset({"flashSize", "psramSize"})
    words = frozenset({"psramType", "serialInterface", "macAddress", "cpuFrequency"})
    return Part(pins, numbers, words, chip)


def _plain(pins: str) -> dict[str, str]:
    return {name: name for name in pins.split()}


PARTS = {
    "board-esp32-devkit-c-v4": _esp32(
        "esp32",
        "3V3 EN VP=36 VN=39 34 35 32 33 25 26 27 14 12 GND.1 13 D2=9 D3=10 CMD=11 5V "
        "GND.2 23 22 TX=1 RX=3 21 GND.3 19 18 5 17 16 4 0 2 15 D1=8 D0=7 CLK=6",
    ),
    "board-esp32-s3-devkitc-1": _esp32(
        "esp32s3",
        "3V3.1 3V3.2 RST 4 5 6 7 15 16 17 18 8 3 46 9 10 11 12 13 14 5V GND.1 "
        "GND.2 TX=43 RX=44 1 2 42 41 40 39 38 37 36 35 0 45 48 47 21 20 19 GND.3 GND.4",
    ),
    "board-esp32-c3-devkitm-1": _esp32(
        "esp32c3",
        "GND.1 3V3.1 3V3.2 2 3 GND.2 RST GND.3 0 1 10 GND.4 5V.1 5V.2 GND.5 "
        "GND.6 19 18 GND.7 4 5 6 7 GND.8 8 9 GND.9 RX=20 TX=21 GND.10",
    ),
    "wokwi-dht22": Part(
        _plain("VCC SDA NC GND"),
        numbers=frozenset({"temperature", "humidity"}),
        controls=frozenset({"temperature", "humidity"}),
    ),
    "wokwi-ds18b20": Part(
        _plain("VCC DQ GND"),
        numbers=frozenset({"temperature"}),
        words=frozenset({"deviceID", "familyCode"}),
        controls=frozenset({"temperature"}),
    ),
    "wokwi-led": Part(
        _plain("A C"),
        numbers=frozenset({"gamma", "fps"}),
        words=frozenset({"color", "lightColor", "label", "flip"}),
    ),
    "wokwi-resistor": Part(_plain("1 2"), numbers=frozenset({"value"})),
}


@dataclass(frozen=True)
class SensorPart:
    """A sensor that Wokwi has: `driver` is ours for it, `data` its pin that a GPIO reads, `open`
    what has to be left unconnected, `ohm` the least and the most of the pull-up to 3.3 V.
    """

    driver: str
    data: str
    ohm: tuple[int, int]
    open: str = ""


SENSOR_PARTS = {
    # On a short cable, at 3.3 V: stronger than the chip's own 45 kOhm, weaker than 4 mA.
    "wokwi-dht22": SensorPart("dht22", "SDA", (1_000, 10_000), open="NC"),
    # Its datasheet has about 5 kOhm.
    "wokwi-ds18b20": SensorPart("ds18b20", "DQ", (1_000, 5_600)),
}

# In no diagram's list of parts, and in every simulation.
MONITOR = "$serialMonitor"
MONITOR_PINS = frozenset({"RX", "TX"})
