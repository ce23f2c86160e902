"""Adding a sensor is one file and one line in board.py: here of a sensor that nobody has."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import FIRMWARE, HOST_BOARD, LIB
from support.brokers.scripted_broker import ScriptedBroker
from support.brokers.scripted_link import BASE, FAST, TELEMETRY, echoing, reading, status
from support.nodes import StartNode

# All that it takes: what it declares, and how it is read.
DRIVER = '''"""A barometer that nobody has: the pressure falls, and now and then it is silent."""

from sensing import Field, Sensor, SensorError


class Barometer(Sensor):
    """On `pin`, to be asked once a second."""

    fields = (Field("pressure", "hPa", 1, 3000, 11000, 10),)
    pace_ms = 1000
    fresh_ms = 600_000
    asked = 0

    def __init__(self, pin):
        self._pin = pin

    def read(self):
        """(pressure,) in tenths of a hPa."""
        self.asked += 1
        if self.asked % 8 == 0 or (self.asked - 1) % 8 == 0 and self.asked > 1:
            raise SensorError("no-wind")
        return (10132 - self.asked,)


def sensor(machine, gpio):
    """On this GPIO."""
    return Barometer(machine.Pin(gpio))
'''
LINE = '("barometer", 25)'


def test_sensor_is_one_file_and_one_line(node: StartNode, tmp_path: Path) -> None:
    """Its field is on telemetry beside the others', null where it failed; it is counted in health
    and answered by read_now. Nothing else of the node has to know it.
    """
    board = tmp_path / "board"
    shutil.copytree(HOST_BOARD, board)
    (board / "barometer.py").write_text(DRIVER)
    text, lines = re.subn(
        r"^(SENSORS = .*)$", rf"\1 + ({LINE},)", (board / "board.py").read_text(), flags=re.M
    )
    assert lines == 1
    (board / "board.py").write_text(text)
    folders = [FIRMWARE, LIB, board, umqtt_dir()]
    with ScriptedBroker(echoing()) as broker:
        running = node(broker, speed=20, config=FAST | {"health_s": 10}, folders=folders)
        broker.wait_for(reading(8))
        running.until("sampler error reason=no-wind")
        found = [status(each) for each in broker.of("PUBLISH") if each.topic == TELEMETRY]
        broker.wait_for(
            lambda packet: (
                packet.topic == f"{BASE}/health"
                and json.loads(packet.payload)["read_errors"].get("no-wind") == 2
            )
        )
    named = ["temperature", "humidity", "pressure"]
    assert {tuple(each)[-3:] for each in found if "dt" not in each} == {tuple(named)}
    by_seq = {each["seq"]: each["pressure"] for each in found if "dt" not in each}
    # Asked twice for the first Reading, and twice for the one that it did not answer.
    assert [by_seq[seq] for seq in range(4)] == [1013.0, 1012.9, 1012.8, 1012.7]
    assert by_seq[6] is None
    assert by_seq[7] == 1012.2
