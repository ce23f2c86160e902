"""`limpet run` with somebody at the levers: as a page has them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import device_config
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import Tool

# Wants 61.5 degrees from the start; cuts the power when that has come.
SCRIPT = """
import sys, tempfile, threading
from pathlib import Path
from limpet.operating.run import run

tempfile.tempdir = sys.argv[2]

def at_levers(levers):
    levers.on_change(lambda text: print("heard:", text, flush=True))
    print("there are", *[each["name"] for each in levers.describe()], flush=True)
    levers.set("dht22-temperature", 61.5)
    go = Path(sys.argv[2]) / "go"
    def cut():
        while not go.exists():
            threading.Event().wait(0.05)
        levers.set("power", True)
    threading.Thread(target=cut, daemon=True).start()

sys.exit(run(fleet=Path(sys.argv[1]), at_levers=at_levers))
"""


@pytest.mark.long
def test_run_with_levers(tmp_path: Path) -> None:
    """What is set shows in the next Readings, over a power cut as well. In the end the device looks
    for its broker where that was, and nothing is left behind.
    """
    root, other = fleet(tmp_path / "fleet"), tmp_path / "other"
    other.mkdir()
    open_setup(root).device(fields("node-1") | {"interval_s": 2})
    flash = root / "devices" / "node-1"
    with Tool("-c", SCRIPT, root, other, program=sys.executable) as tool:
        tool.wait_for("heard: Temperature: 61.5 °C from now on.")
        tool.wait_for("reading  61.5 °C 46.4 % seq 0 ")
        assert "there are dht22-temperature dht22-humidity dht22-unplugged" in tool.text
        port = int(tool.text.partition("broker   127.0.0.1:")[2].partition(",")[0])
        assert device_config.read(flash)["port"] != port
        (other / "go").touch()
        tool.wait_for("heard: The power is cut.")
        tool.wait_for("power-on.")
        tool.wait_for(lambda text: text.count("reading  61.5 °C 46.4 % seq 0 ") == 2)
        tool.interrupt()
        assert tool.end() == 0, tool.text
    assert "last status: offline shutdown." in tool.text
    assert device_config.read(flash)["port"] == port
    assert [each.name for each in other.iterdir()] == ["go"]
