"""A node with a DHT22 and a DS18B20, over TLS, to a real broker: what comes of it, also while one
of the two fails.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import laptop_sensors
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CAPTURES, FIRMWARE, HOST_BOARD, LIB
from support.brokers.mqtt_client import Client, Message
from support.brokers.running import RunningBroker, base
from support.nodes import (
    FAST,
    IN_ORDER,
    TIMEOUT_S,
    Commander,
    Node,
    StartNode,
    readings,
    wait_for_readings,
    wait_for_status,
)
from support.tool import Tool

OUTDOOR = "outdoor_temperature"
# One sensor, under the name it has and under another.
NAMES_OF_ONE = ("ds18b20:outdoor", "ds18b20:roof")


def conversions(capture: str) -> list[dict[str, Any]]:
    """The lines of a capture that comes with the laptop."""
    return [json.loads(line) for line in (CAPTURES / f"{capture}.jsonl").read_text().splitlines()]


def hundredths(line: dict[str, Any]) -> int:
    """What a DS18B20 said in one line of its capture, by the datasheet's sixteenths."""
    raw = int.from_bytes(bytes.fromhex(line["pad"])[:2], "little", signed=True)
    return (raw * 25 + 2) // 4


def alerts(operator: Client) -> list[tuple[str, str]]:
    """Which alerts have come, and whether each was raised or cleared."""
    seen = [message.json() for message in operator.seen(f"{base()}/alerts")]
    return [(each["alert"], each["state"]) for each in seen]


def test_readings_have_the_fields_of_both(broker: RunningBroker, node: StartNode) -> None:
    """Each Reading is one moment: both sensors' values, each in the order of its capture."""
    operator = broker.operator()
    sensors = laptop_sensors.setting("dht22,ds18b20:outdoor")
    node(broker, speed=20, config=FAST | IN_ORDER, sensors=sensors)
    arrived = wait_for_readings(operator, 20)
    wanted = [hundredths(line) for line in conversions("ds18b20_made_up")]
    said = [round(100 * each[OUTDOOR]) for each in arrived]
    # Each conversion in its turn; one that a busy machine leaves until it is too old is done again,
    # as is the first of a boot.
    left = iter(wanted[1:])
    assert all(value in left for value in said), said
    assert {tuple(each)[-3:] for each in arrived} == {("temperature", "humidity", OUTDOOR)}
    assert all(20 < each["temperature"] < 30 for each in arrived)


def test_sensor_that_fails_for_a_while_costs_its_own_field(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """While the outdoor sensor is silent its field is null, counted, and alarmed; the other's
    values go out all the same, and nothing of it is left when it is back.
    """
    operator = broker.operator()
    lines = conversions("ds18b20_made_up")
    capture = tmp_path / "fails.jsonl"
    rows = [*lines[:6], *[{"t": 0, "pad": ""}] * 16, *lines[6:]]
    capture.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sensors = laptop_sensors.setting(f"dht22,ds18b20:outdoor={capture}")
    config = FAST | IN_ORDER | {"health_s": 10}
    node(broker, speed=20, config=config, sensors=sensors)

    def cleared(message: Message) -> bool:
        said = message.json()
        return (said["alert"], said["state"]) == ("outdoor-sensor-silent", "cleared")

    operator.wait_for(f"{base()}/alerts", cleared, TIMEOUT_S)
    assert alerts(operator) == [
        ("outdoor-sensor-silent", "raised"),
        ("outdoor-sensor-silent", "cleared"),
    ]
    last = max(each["seq"] for each in readings(operator))
    arrived = wait_for_readings(operator, last + 2)
    absent = [each[OUTDOOR] is None for each in arrived]
    first = absent.index(True)
    back = first + absent[first:].index(False)
    assert first > 2
    assert back - first >= 5
    assert not any(absent[back:])
    assert all(each["temperature"] is not None for each in arrived)
    assert all(each["humidity"] is not None for each in arrived)
    assert [each["seq"] for each in arrived] == list(range(last + 3))

    def counted(message: Message) -> bool:
        return set(message.json()["read_errors"]) == {"outdoor:no-response"}

    operator.wait_for(f"{base()}/health", counted, TIMEOUT_S)


def test_alert_of_a_sensor_that_is_gone_is_cleared(
    broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """Where a sensor was silent and is not listed any more, the next boot clears its alert; one of
    a sensor that is still listed stands until it is read.
    """
    operator = broker.operator()
    capture = tmp_path / "fails.jsonl"
    rows = [conversions("ds18b20_made_up")[0], *[{"t": 0, "pad": ""}] * 500]
    capture.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sensors = [laptop_sensors.setting(f"dht22,{each}={capture}") for each in NAMES_OF_ONE]
    running = node(broker, speed=20, config=FAST, sensors=sensors[0])
    operator.wait_for(f"{base()}/alerts")
    running.kill()
    with Node(running.root, "node-1", speed=20, sensors=sensors[0]) as again:
        again.until("sampler reading seq=2 ")
    assert alerts(operator) == [("outdoor-sensor-silent", "raised")]
    with Node(running.root, "node-1", speed=20, sensors=sensors[1]) as renamed:
        renamed.until("link up")
        operator.wait_for(f"{base()}/alerts", lambda said: said.json()["state"] == "cleared")
        operator.wait_for(f"{base()}/alerts", lambda said: "roof" in said.json()["alert"])
    assert alerts(operator) == [
        ("outdoor-sensor-silent", "raised"),
        ("outdoor-sensor-silent", "cleared"),
        ("roof-sensor-silent", "raised"),
    ]


DRIVER = """
from sensing import Field, Sensor


class Gauge(Sensor):
    fields = (Field("tank_level", "m", 2, 0, 1000, 50),)
    pace_ms = 1000
    fresh_ms = 5000

    def __init__(self, pin, offset):
        self._offset = offset

    def read(self):
        return (100 + self._offset,)


def sensor(machine, gpio, offset=0):
    return Gauge(machine.Pin(gpio), offset)
"""
FIELDS = [
    *("temperature", "humidity", "outdoor_temperature", "in_temperature", "in_humidity", "supply"),
    *("low_temperature", "low_humidity", "roof_temperature", "roof_humidity", "tank_level"),
]


@pytest.mark.parametrize("form", ["bytecode", "frozen"])
def test_byte_code_reads_every_kind_of_sensor(
    form: str, broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """As a chip has it: with short names, each driver of lib/ and one that lies beside board.py."""
    board = Path(shutil.copytree(HOST_BOARD, tmp_path / "host"))
    text = (board / "board.py").read_text("utf-8")
    lines = re.sub(
        r"^(SENSORS = )(.*)$", r'\1(\2) + (("gauge", 12, "", 7),)', text, flags=re.MULTILINE
    )
    assert lines != text
    (board / "board.py").write_text(lines, "utf-8")
    (board / "gauge.py").write_text(DRIVER)
    kinds = "dht22,ds18b20:outdoor,sht4x:in,supply,dht11:low,sht3x:roof"
    running = node(
        broker,
        speed=20,
        config=FAST,
        sensors=laptop_sensors.setting(kinds),
        folders=(FIRMWARE, LIB, board, umqtt_dir().resolve()),
        bytecode=form == "bytecode",
        frozen=form == "frozen",
    )
    line = running.until("sampler reading")
    assert re.findall(r" (\w+)=", line)[1:] == FIELDS
    assert line.endswith(" tank_level=1.07")
    assert "null" not in line


def test_sensors_that_cannot_be_end_in_safe_mode(broker: RunningBroker, node: StartNode) -> None:
    """What the tools refuse and a node was given all the same: it crashes with words for it, and
    after the third time can be asked which.
    """
    operator = broker.operator()
    node(broker, speed=10, sensors="dht22,ds18b20")
    wait_for_status(operator, lambda said: said.get("mode") == "safe")
    crash = Commander(operator).ask("get_crash")["result"]
    assert crash["count"] == 3
    assert crash["crash"].endswith("WiringError: field temperature is there twice: ds18b20")


def test_run_shows_both(tmp_path: Path) -> None:
    """`limpet run --sensors` shows every field; a list that nobody can play is refused at once."""
    words = ("--fleet", tmp_path, "--sensors", "dht22,ds18b20:outdoor", "--seconds", "7")
    with Tool("init", tmp_path) as made:
        assert made.end() == 0, made.text
    with Tool("run", *words) as tool:
        assert tool.end() == 0, tool.text
    assert "its sensors play captures: dht22,ds18b20:outdoor." in tool.text
    assert re.search(r"reading  24\.\d °C 46\.\d % outdoor -2\.\d+ °C seq 0 ", tool.text)
    with Tool("run", "--sensors", "dht22,bmp280:roof", terminal=False) as refused:
        assert refused.end() == 1
    assert "no sensor on the laptop's table is called 'bmp280'." in refused.text
    assert "Say one of: dht11, dht22, ds18b20, sht3x, sht4x, supply." in refused.text
