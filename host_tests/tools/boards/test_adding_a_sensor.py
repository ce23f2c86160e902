"""Adding a sensor, as docs/sensors.md tells it: one file beside board.py, and one line in it."""

from __future__ import annotations

import re
import shutil
import textwrap
from pathlib import Path

from limpet.boards.board_facts import facts
from limpet.boards.node_files import code_files
from limpet.shared.paths import BOARDS, REPO
from support.micropython.upy import run

LINE = 'SENSORS = (("dht22", 27), ("bmp999", (22, 21), "roof"))\n'
# A bus with the sensor of the docs, which says 1013.2 hPa once, and the line of a DHT22 beside it.
NODE = """
import sys

class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
    said = [(101320).to_bytes(3, "big")]

    class Pin:
        def __init__(self, gpio):
            self.gpio = gpio

    class SoftI2C:
        def __init__(self, scl, sda):
            print(scl.gpio, sda.gpio)

        def writeto(self, address, data):
            print(address, data)

        def readfrom(self, address, count):
            if (address, count) != (0x76, 3) or not machine.said:
                raise OSError(19)
            return machine.said.pop(0)

    @staticmethod
    def dht_readinto(pin, buffer):
        buffer[:] = bytes((1, 208, 0, 244, 197))

sys.modules["machine"] = sys.modules["network"] = machine
import board
from sensing import SensorError, measure
indoors, outdoors = board.sensors()
print([field.name for each in (indoors, outdoors) for field in each.fields])
outdoors.start()
print(measure(indoors), measure(outdoors))
try:
    measure(outdoors)
except SensorError as error:
    print(error.args[0])
"""


def test_one_file_and_one_line(tmp_path: Path) -> None:
    """The driver of the docs, as it stands there, and a line: it goes onto the chip, nothing else
    changes, and the node reads both sensors.
    """
    text = (REPO / "docs" / "sensors.md").read_text("utf-8").split("## Writing one")[1]
    driver = textwrap.dedent("\n".join(re.findall(r"^(?:    .*|)$", text, re.MULTILINE))).strip()
    board = Path(shutil.copytree(BOARDS / "esp32_devkit", tmp_path / "roof"))
    before = (board / "board.py").read_text("utf-8").replace('"esp32_devkit"', '"roof"')
    (board / "bmp999.py").write_text(driver + "\n", "utf-8")
    (board / "board.py").write_text(
        re.sub(r"^SENSORS = .*\n", LINE, before, flags=re.MULTILINE), "utf-8"
    )
    files, ours = code_files(facts("roof", own=tmp_path)), code_files(facts("esp32_devkit"))
    assert files.keys() - ours.keys() == {"bmp999.mpy"}
    changed = {name for name in ours if files[name] != ours[name]}
    assert changed == {"board.mpy", "files.json"}
    assert run(NODE, path=[board]).splitlines() == [
        "22 21",
        "['temperature', 'humidity', 'roof_pressure']",
        "118 b'$'",
        "(244, 464) (10132,)",
        "no-response",
    ]
