"""Boards of the user's own: a folder below boards/ in a fleet, for each tool that takes a Board."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from limpet.boards.board_facts import BoardFacts, facts, names
from limpet.boards.board_sensors import WiredSensor
from limpet.boards.node_files import LISTING
from limpet.brokers.setup import open_setup
from limpet.deploying import deploy as deploying
from limpet.shared.paths import BOARDS
from limpet.shared.problem import Problem
from limpet.trial.command import trial
from littlefs import LittleFS
from support.brokers.running import fields
from support.flashing import micropython_images
from support.fleets import fleet
from support.tool import limpet

WIFI = {"wifi_ssid": "beach", "broker": "192.0.2.1"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fleet with node-1, and with a Board `greenhouse`: esp32_devkit with its LED elsewhere."""
    root = fleet(tmp_path / "fleet")
    open_setup(root).device(fields("node-1") | WIFI)
    copied(root, "greenhouse")
    return root


def copied(root: Path, name: str) -> Path:
    """Copy a Board of ours into the fleet under a name, and change a pin."""
    folder = Path(shutil.copytree(BOARDS / "esp32_devkit", root / "boards" / name))
    path = folder / "board.py"
    text = path.read_text("utf-8")
    assert "LED_GPIO = 26\n" in text
    text = text.replace('NAME = "esp32_devkit"\n', f'NAME = "{name}"\n')
    path.write_text(text.replace("LED_GPIO = 26\n", "LED_GPIO = 19\n"), "utf-8")
    return folder


@pytest.mark.parametrize("said", ['NAME = "esp32_devkit"\n', "NAME = 7\n", ""])
def test_a_board_is_called_what_its_folder_is(root: Path, said: str) -> None:
    """One that was copied and kept the other's name would say that name of itself on the board."""
    path = root / "boards" / "greenhouse" / "board.py"
    path.write_text(path.read_text("utf-8").replace('NAME = "greenhouse"\n', said), "utf-8")
    with pytest.raises(Problem, match=r"board\.py says of itself NAME = ") as refusal:
        facts("greenhouse", own=root / "boards")
    assert "NAME = 'greenhouse'" in refusal.value.remedy


def test_own_boards_are_known(root: Path) -> None:
    """Beside ours; without the fleet they are not, and a folder without a board.py is none."""
    own = root / "boards"
    (own / "notes").mkdir()
    assert set(names(own)) == {*names(), "greenhouse"}
    found = facts("greenhouse", own=own)
    dht22 = (WiredSensor("dht22", (27,)),)
    assert found == BoardFacts("greenhouse", "esp32", 4, False, own / "greenhouse", 19, dht22)
    assert facts("esp32_devkit", own=own).folder == BOARDS / "esp32_devkit"
    with pytest.raises(Problem, match="There is no board greenhouse"):
        facts("greenhouse")
    with pytest.raises(Problem, match="There is no board glasshouse") as unknown:
        facts("glasshouse", own=own)
    assert "greenhouse" in unknown.value.remedy
    assert facts("esp32_devkit", own=root / "none").folder == BOARDS / "esp32_devkit"


def test_own_board_goes_before_ours(root: Path) -> None:
    """Where both have one name the user's is meant."""
    folder = copied(root, "esp32_devkit")
    assert facts("esp32_devkit", own=root / "boards").folder == folder
    assert facts("esp32_devkit").folder == BOARDS / "esp32_devkit"


@pytest.mark.parametrize(
    ("old", "new", "cause"),
    [
        ('CHIP = "esp32"\n', "", "board.py does not say CHIP, a text."),
        ("FLASH_MB = 4\n", 'FLASH_MB = "4"\n', "board.py does not say FLASH_MB, a whole number."),
        ("OTA = False\n", "OTA = 0\n", "board.py does not say OTA, True or False."),
        ('CHIP = "esp32"\n', 'CHIP = "esp8266"\n', "board.py: no chip of Limpet's is called esp82"),
        ("FLASH_MB = 4\n", "FLASH_MB = 5\n", "MicroPython has no image for a flash of 5 MB."),
        ("FLASH_MB = 4\n", "FLASH_MB = = 4\n", "board.py, line "),
        ("FLASH_MB = 4\n", "\0\n", "board.py"),
        ("LED_GPIO = 19\n", "", "board.py does not say LED_GPIO, a whole number."),
    ],
)
def test_own_board_with_a_fault(root: Path, old: str, new: str, cause: str) -> None:
    """Named by its file; it is read and not run, and hides no other Board."""
    path = root / "boards" / "greenhouse" / "board.py"
    text = path.read_text("utf-8")
    assert old in text
    path.write_bytes(text.replace(old, new).encode("latin-1"))
    with pytest.raises(Problem) as refused:
        facts("greenhouse", own=root / "boards")
    assert cause in refused.value.cause
    assert "Traceback" not in limpet("image", "greenhouse", "--fleet", root).stderr
    assert facts("esp32_devkit", own=root / "boards").chip == "esp32"


ONE = 'SENSORS = (("dht22", 27),)\n'


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("SENSORS = 27\n", "board.py: SENSORS is no list of texts and numbers, written out."),
        (
            'PIN = 27\nSENSORS = (("dht22", PIN),)\n',
            "board.py: SENSORS is no list of texts and numbers, written out.",
        ),
        (
            'SENSORS = ("dht22", 27)\n',
            "board.py: SENSORS: 'dht22' is not (driver, pins) or (driver, pins, name).",
        ),
        ("SENSORS = ((27, 27),)\n", "board.py: SENSORS: (27, 27) names no driver."),
        (
            'SENSORS = (("dht 22", 27),)\n',
            "board.py: SENSORS: ('dht 22', 27) names no driver.",
        ),
        (
            'SENSORS = (("dht23", 27),)\n',
            "board.py: SENSORS: ('dht23', 27) has no driver: neither greenhouse/ nor lib/ holds "
            "a dht23.py with a function sensor().",
        ),
        (
            'SENSORS = (("backoff", 27),)\n',
            "board.py: SENSORS: ('backoff', 27) has no driver: neither greenhouse/ nor lib/ holds "
            "a backoff.py with a function sensor().",
        ),
        ('SENSORS = (("dht22", ()),)\n', "board.py: SENSORS: ('dht22', ()) has no pins."),
        ('SENSORS = (("dht22", True),)\n', "board.py: SENSORS: ('dht22', True) has no pins."),
        (
            'SENSORS = (("dht22", (27, 14)),)\n',
            "board.py: SENSORS: ('dht22', (27, 14)) does not say what dht22 wants to be told: "
            "gpio.",
        ),
        (
            'SENSORS = (("sht4x", 22),)\n',
            "board.py: SENSORS: ('sht4x', 22) does not say what sht4x wants to be told: scl, sda, "
            "address.",
        ),
        (
            'SENSORS = (("supply", 35, "", 100),)\n',
            "board.py: SENSORS: ('supply', 35, '', 100) does not say what supply wants to be told: "
            "gpio, upper, lower.",
        ),
        (
            'SENSORS = (("sht4x", (22, 21)), ("dht22", 21, "outdoor"))\n',
            "board.py: GPIO21 is used twice, by sht4x and by dht22.",
        ),
        # On one bus, but both at its usual address; or at crossed pins, or of different buses.
        (
            'SENSORS = (("sht4x", (22, 21)), ("sht3x", (22, 21), "low"))\n',
            "board.py: GPIO22 is used twice, by sht4x and by sht3x.",
        ),
        (
            'SENSORS = (("sht4x", (22, 21)), ("sht3x", (21, 22), "low", 69))\n',
            "board.py: GPIO21 is used twice, by sht4x and by sht3x.",
        ),
        (
            'SENSORS = (("sht4x", (22, 21)), ("ds18b20", 22, "low", "28443322110000eb"))\n',
            "board.py: GPIO22 is used twice, by sht4x and by ds18b20.",
        ),
        (
            'SENSORS = (("sht4x", (22, 21)), ("sht3x", (22, 21), "", 69))\n',
            "board.py: temperature would be there twice, from sht4x and from sht3x: one of them "
            "needs a name.",
        ),
        # The same address, once by being said and once by being the usual one; the same ROM.
        (
            'SENSORS = (("sht4x", (22, 21)), ("sht4x", (22, 21), "low", 0x44))\n',
            "board.py: GPIO22 is used twice, by sht4x and by sht4x.",
        ),
        (
            'SENSORS = (("ds18b20", 25, "a", "28443322110000eb"), '
            '("ds18b20", 25, "b", "28443322110000eb"))\n',
            "board.py: GPIO25 is used twice, by ds18b20 and by ds18b20.",
        ),
        (
            'SENSORS = (("sht4x", 22, 21),)\n',
            "board.py: SENSORS: ('sht4x', 22, 21) has its GPIOs one after the other.",
        ),
        *(
            (
                f'SENSORS = (("ds18b20", 25, "", {rom!r}),)\n',
                f"board.py: SENSORS: ('ds18b20', 25, '', {rom!r}) has no ROM of a DS18B20.",
            )
            # Too short, another family, a checksum that is wrong, no digits, no text.
            for rom in (
                "28ff",
                "10" + "28443322110000eb"[2:],
                "28443322110000eb"[:-1] + "0",
                "x" * 16,
                40,
            )
        ),
        *(
            (
                f'SENSORS = (("dht22", {pin}),)\n',
                f"board.py: GPIO{pin}, of dht22, is no pin of the esp32.",
            )
            for pin in (20, 24, 40, 99)
        ),
        (
            'SENSORS = (("dht22", 27, "Out door"),)\n',
            "board.py: SENSORS: ('dht22', 27, 'Out door') has a name that no field can begin with.",
        ),
        (
            'SENSORS = (("sht4x", (22, 22)),)\n',
            "board.py: GPIO22 is used twice, by sht4x and by sht4x.",
        ),
        (
            'SENSORS = (("dht22", 27), ("dht22", 27, "outdoor"))\n',
            "board.py: GPIO27 is used twice, by dht22 and by dht22.",
        ),
        (
            'SENSORS = (("dht22", 19),)\n',
            "board.py: GPIO19 is used twice, by LED_GPIO and by dht22.",
        ),
        (
            'SENSORS = (("ours", (27, 1)), ("ours", (14, 2), "low"), ("ours", (13, 4), "low"))\n',
            "board.py: low_level would be there twice, from ours and from ours: one of them needs "
            "a name.",
        ),
    ],
)
def test_own_board_whose_sensors_have_a_fault(root: Path, line: str, cause: str) -> None:
    """Each is named before anything is made: by its file, its line, its pin."""
    path = root / "boards" / "greenhouse" / "board.py"
    (path.parent / "ours.py").write_text(OURS)
    text = path.read_text("utf-8")
    assert ONE in text
    path.write_text(text.replace(ONE, line), "utf-8")
    with pytest.raises(Problem) as refused:
        facts("greenhouse", own=root / "boards")
    assert refused.value.cause.endswith(cause)
    assert refused.value.cause.startswith(str(path))


def test_own_board_without_sensors(root: Path) -> None:
    """A Board without SENSORS, or with none in it, has nothing to say."""
    path = root / "boards" / "greenhouse" / "board.py"
    text = path.read_text("utf-8").replace(ONE, "")
    path.write_text(text[: text.index("network =")], "utf-8")
    with pytest.raises(Problem, match=r"board.py does not say SENSORS\.$"):
        facts("greenhouse", own=root / "boards")
    path.write_text("SENSORS = ()\n" + text, "utf-8")
    with pytest.raises(Problem, match=r"board.py: SENSORS is empty"):
        facts("greenhouse", own=root / "boards")


@pytest.mark.parametrize("name", ["seq", "ts", "Level", "2nd", "water level"])
def test_own_driver_whose_field_has_no_name_for_telemetry(root: Path, name: str) -> None:
    """A Reading needs some names for itself, and the others are letters, digits and _."""
    path = root / "boards" / "greenhouse" / "board.py"
    (path.parent / "ours.py").write_text(OURS.replace('"level"', f'"{name}"'))
    line = 'SENSORS = (("ours", (14, 13)),)\n'
    path.write_text(path.read_text("utf-8").replace(ONE, line), "utf-8")
    with pytest.raises(Problem, match=f"board.py: {name} of ours is no name for a field"):
        facts("greenhouse", own=root / "boards")


OURS = """
from sensing import Field, Sensor


class Ours(Sensor):
    fields = (Field("level", "m", 2, 0, 100, 1),)


def sensor(machine, gpio, echo_gpio, offset=0):
    return Ours()
"""


def test_own_driver_lies_beside_the_board(root: Path) -> None:
    """A driver is one file in the Board's folder, and one line in SENSORS."""
    path = root / "boards" / "greenhouse" / "board.py"
    (path.parent / "ours.py").write_text(OURS)
    more = 'SENSORS = (("dht22", 27), ("ours", (14, 13), "tank", 27))\n'
    path.write_text(path.read_text("utf-8").replace(ONE, more), "utf-8")
    assert facts("greenhouse", own=root / "boards").sensors == (
        WiredSensor("dht22", (27,)),
        WiredSensor("ours", (14, 13), "tank", (27,)),
    )


def test_sensors_on_one_bus_share_its_pins(root: Path) -> None:
    """Two SHTs at two addresses, two DS18B20s with their ROMs; the ones and zeros beside the pins
    are none.
    """
    path = root / "boards" / "greenhouse" / "board.py"
    line = (
        'SENSORS = (("sht4x", (22, 21)), ("sht3x", (22, 21), "low", 69), '
        '("ds18b20", 25, "in", "28443322110000eb"), ("ds18b20", 25, "out", "28453322110000dc"), '
        '("supply", 35, "", 22, 21))\n'
    )
    path.write_text(path.read_text("utf-8").replace(ONE, line), "utf-8")
    found = facts("greenhouse", own=root / "boards").sensors
    assert [each.pins for each in found] == [(22, 21), (22, 21), (25,), (25,), (35,)]
    assert [each.more for each in found] == [
        (),
        (69,),
        ("28443322110000eb",),
        ("28453322110000dc",),
        (22, 21),
    ]
    assert [each.line for each in found] == [
        ("sht4x", (22, 21)),
        ("sht3x", (22, 21), "low", 69),
        ("ds18b20", 25, "in", "28443322110000eb"),
        ("ds18b20", 25, "out", "28453322110000dc"),
        ("supply", 35, "", 22, 21),
    ]


@pytest.mark.parametrize(
    ("old", "has"),
    [
        ("SENSOR_GPIO = 27\nsensor, led = wired(SENSOR_GPIO, LED_GPIO)\n", "sensor"),
        ("def sensor():\n    return None\n", "sensor"),
        ("SENSOR_GPIO = 27\n", "SENSOR_GPIO"),
    ],
)
def test_own_board_of_before_is_told_what_to_write(root: Path, old: str, has: str) -> None:
    """A board.py with the one `sensor()` of Limpet 0.1: both lines that take its place are said."""
    path = root / "boards" / "greenhouse" / "board.py"
    text = path.read_text("utf-8").replace(ONE, "")
    path.write_text(text[: text.index("network =")] + old, "utf-8")
    with pytest.raises(Problem) as refused:
        facts("greenhouse", own=root / "boards")
    assert refused.value.cause == (
        f"{path} has {has}, as Boards of Limpet 0.1 had: no node asks for it any more."
    )
    assert 'SENSORS = (("dht22", 27),' in refused.value.remedy
    assert "sensors, led = wired(SENSORS, LED_GPIO)" in refused.value.remedy
    done = limpet("image", "greenhouse", "--fleet", root)
    assert done.returncode == 1
    assert "Boards of Limpet 0.1" in done.stderr


def test_image_and_flash(root: Path, tmp_path: Path) -> None:
    """The Board's own code is in its image, by its own name; `flash` takes it for what it is."""
    firmware = tmp_path / "some.bin"
    firmware.write_bytes(micropython_images.image(facts("esp32_devkit")))
    words = ("--device", "node-1", "--firmware", firmware, "--out", tmp_path / "images")
    done = limpet("image", "greenhouse", *words, cwd=root)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "images" / "greenhouse"
    assert f"greenhouse: esp32, 4 MB of flash, in {made}" in done.stdout
    files = LittleFS(mount=False, block_count=512, block_size=4096)
    files.context.buffer = bytearray((made / "vfs.bin").read_bytes())
    files.mount()
    with files.open(f"/a/{LISTING}", "rb") as file:
        assert json.loads(file.read())["board"] == "greenhouse"
    port = ("--port", "socket://127.0.0.1:1", "--image", made)
    known = limpet("flash", "greenhouse", *port, "--fleet", root)
    assert "socket://127.0.0.1:1 does not answer" in known.stderr
    unknown = limpet("flash", "greenhouse", *port, cwd=tmp_path)
    assert unknown.stderr.startswith("limpet: There is no board greenhouse.\nSay one of: esp32_dev")


def test_deploy(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the fleet's Board whose code is put together; one that is none is refused before."""
    asked: list[BoardFacts] = []

    def code(board: BoardFacts) -> dict[str, bytes]:
        asked.append(board)
        raise Problem("This is as far as it goes.", "")

    monkeypatch.setattr(deploying, "code_files", code)
    with pytest.raises(Problem, match="as far as it goes"):
        deploying.deploy("greenhouse", port="/nowhere", fleet=root)
    assert asked == [facts("greenhouse", own=root / "boards")]
    with pytest.raises(Problem, match="There is no board glasshouse"):
        deploying.deploy("glasshouse", port="/nowhere", fleet=root)


def test_test_board(root: Path) -> None:
    """A Board of the fleet is one to be tried; one that is none is refused before all else."""
    with pytest.raises(Problem, match="has to find a broker"):
        trial("greenhouse", fleet=root)
    with pytest.raises(Problem, match="There is no board glasshouse") as unknown:
        trial("glasshouse", fleet=root)
    assert "greenhouse" in unknown.value.remedy
