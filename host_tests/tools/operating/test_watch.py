"""`limpet watch`, and the decoding of payloads that `send` and `run` use as well."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity.authority import load
from limpet.identity.layout import Layout
from limpet.identity.operators import operator_identity
from limpet.operating import watch as watch_command
from limpet.operating.operator_client import Arrival
from limpet.shared import payloads
from limpet.shared.plain import safe
from limpet.shared.seen_readings import UNITS
from support import schemas
from support.brokers.mqtt_client import Client
from support.brokers.running import KIND, RunningBroker, base, fields
from support.brokers.scripted_device import ScriptedDevice
from support.fleets import fleet
from support.tool import COLUMNS, LIMPET, TIMEOUT_S, Tool

TOPIC = base() + "/"
READING = b'{"v":1,"boot":7,"seq":1042,"ts":1780000000,"temperature":24.4,"humidity":46.3}'
BACKLOG = (
    b'{"v":1,"boot":7,"seq":1043,"ts":1780000010,"dt":10,'
    b'"temperature":[24.4,-4.1],"humidity":[46.3,99.9]}'
)
HOSTILE = b'\x1b[2J\x1b]0;title\x07 \xe2\x80\xae\xc2\x9b\x00\xff {"\r\n'


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of day in these tests, and in the tools they start, are UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.parametrize(
    ("kind", "payload", "meaning"),
    [
        ("telemetry", READING, ["24.4 °C 46.3 % seq 1042 2026-05-28 20:26:40"]),
        (
            "telemetry",
            b'{"v":1,"boot":7,"seq":1,"ts":null,"up":4,"temperature":24,"humidity":null,'
            b'"outdoor_temperature":-0.125,"outdoor_humidity":81.2,"cold_frame_temperature":3.50,'
            b'"supply":3.314,"pressure":1013.25,"moisture":412,"soil_ph":6.5}',
            [
                "24.0 °C - % 1013.25 hPa outdoor -0.125 °C 81.2 % cold frame 3.5 °C supply 3.314 V"
                " moisture 412 soil ph 6.5 seq 1 4 s into boot 7"
            ],
        ),
        (
            "telemetry/backlog",
            b'{"v":1,"boot":7,"seq":5,"ts":1780000000,"dt":0,"temperature":[null],"lux":[7]}',
            ["- °C lux 7 seq 5 2026-05-28 20:26:40"],
        ),
        (
            "telemetry/backlog",
            b'{"boot":7,"seq":5,"ts":1780000000,"dt":9,"temperature":[1],"lux":[7,"x"],"a":5}',
            [
                "1.0 °C lux 7 a ? seq 5 2026-05-28 20:26:40",
                "? °C lux ? a ? seq 6 2026-05-28 20:26:49",
            ],
        ),
        (
            "commands/response",
            b'{"v":1,"id":"a","status":"executed","result":{"boot":7,"seq":9,"ts":null,'
            b'"temperature":null,"outdoor_temperature":7.1},"ts":1}',
            ["a executed - °C outdoor 7.1 °C seq 9"],
        ),
        (
            "telemetry",
            BACKLOG,
            [
                "24.4 °C 46.3 % seq 1043 2026-05-28 20:26:50",
                "-4.1 °C 99.9 % seq 1044 2026-05-28 20:27:00",
            ],
        ),
        (
            "telemetry",
            b'{"boot":6,"seq":3,"ts":null,"up":40,"dt":[0,11],'
            b'"temperature":[24.4,24.5],"humidity":[46.3,46.2]}',
            ["24.4 °C 46.3 % seq 3 40 s into boot 6", "24.5 °C 46.2 % seq 4 51 s into boot 6"],
        ),
        (
            "status",
            b'{"v":1,"status":"online","boot":7,"session":31,"fw":"0.1.0","reset":"power-on",'
            b'"outage":{"s":73,"cause":"tls-timeout"}}',
            [
                "online boot 7 session 31 fw 0.1.0 reset power-on"
                " after 73 s without link: tls-timeout"
            ],
        ),
        (
            "status",
            b'{"v":1,"status":"online","boot":8,"session":2,"fw":"0.1.0","reset":"soft",'
            b'"why":"memory","alerts":["sensor-silent","no-time"],"more_alerts":2}',
            [
                "online boot 8 session 2 fw 0.1.0 reset soft why memory"
                " alerts sensor-silent, no-time and 2 more"
            ],
        ),
        (
            "status",
            b'{"v":1,"status":"offline","boot":7,"session":31,"reason":"lost"}',
            ["offline reason lost boot 7 session 31"],
        ),
        ("status", b"", ["(empty: nothing is retained here any more)"]),
        (
            "commands",
            b'{"id":"req-1","action":"set_interval","params":{"seconds":30},"ts":1,"ttl":60}',
            ["req-1 set_interval seconds=30"],
        ),
        (
            "commands/response/a",
            b'{"v":1,"id":"req-1","status":"executed","result":{"seconds":30},"ts":1}',
            ["req-1 executed seconds=30"],
        ),
        (
            "commands/response",
            b'{"v":1,"id":"req-1","status":"rejected","code":"range","text":"2 to 9","ts":1}',
            ["req-1 rejected range: 2 to 9"],
        ),
        (
            "alerts",
            b'{"v":1,"ts":1780000000,"alert":"hot","state":"raised","value":31.2,"limit":30.0}',
            ["hot raised value 31.2 limit 30.0 2026-05-28 20:26:40"],
        ),
        (
            "alerts",
            b'{"v":1,"ts":null,"alert":"outdoor-sensor-silent","state":"raised","reason":"crc"}',
            ["outdoor-sensor-silent raised reason crc"],
        ),
        (
            "health",
            b'{"v":1,"ts":null,"up":5,"downs":{"tcp":2}}',
            ['up=5 downs={"tcp": 2}'],
        ),
        (
            "config/reported",
            b'{"version":12,"applied":false,"field":"interval_s","reason":"2 to 9"}',
            ["version=12 applied=false field=interval_s reason=2 to 9"],
        ),
        ("something/else", READING, []),
    ],
)
def test_meaning(kind: str, payload: bytes, meaning: list[str]) -> None:
    """Every payload of the design is put into words; what is in no design has none."""
    assert payloads.describe(TOPIC + kind, payload) == meaning


def test_meaning_of_the_time() -> None:
    """What an organisation's broker says of the time is a time; elsewhere it is no word of it."""
    payload = b'{"v":1,"ts":1780000000}'
    assert payloads.describe("limpet/time", payload) == ["2026-05-28 20:26:40"]
    for topic in ("time", "limpet/home/time", TOPIC + "time"):
        assert payloads.describe(topic, payload) == []


def hostile_payloads() -> Iterator[bytes]:
    """Whatever may arrive: cut at any byte, wrong types everywhere, numbers without bounds."""
    for whole in (READING, BACKLOG, HOSTILE):
        yield from (whole[:end] for end in range(len(whole) + 1))
    wrong = [b"null", b"true", b'"\\u001b[2J\\u202e"', b"[]", b"[[1]]", b"{}", b'{"\\u0007":1}']
    wrong += [b"1e999", b"-1e999", b"NaN", b"1" + b"0" * 400, b"1e300", b"-1", b"1" * 5000]
    keys = [b"boot", b"seq", b"ts", b"up", b"dt", b"temperature", b"humidity"]
    keys += [b"status", b"outage", b"reset", b"id", b"result", b"code", b"params", b"alert"]
    for value in wrong:
        yield value
        yield b"{" + b",".join(b'"%b":%b' % (key, value) for key in keys) + b"}"
        for key in keys:
            yield BACKLOG[:-1] + b',"%b":%b}' % (key, value)
            yield READING[:-1] + b',"%b":%b}' % (key, value)
    yield b"{" + b",".join(b'"\\u0007%d_supply":[%d]' % (n, n) for n in range(10_000)) + b"}"
    yield b"[" * 100_000
    yield b'{"temperature":[' + b"1," * 50_000 + b'1],"humidity":[]}'


def test_anything_may_arrive() -> None:
    """No payload under any topic raises, and no line of its meaning holds a control character."""
    kinds = ["telemetry", "telemetry/backlog", "status", "commands", "commands/response"]
    kinds += ["health", "alerts", ""]
    for payload in hostile_payloads():
        for kind in (*kinds, "config/reported"):
            for line in (*payloads.describe(TOPIC + kind, payload), payloads.show(payload)):
                assert line.isprintable(), (kind, payload[:200], line)


def test_no_character_steers_a_terminal() -> None:
    """Of all characters that control, format or break lines none is left; letters stay."""
    for number in range(0x110000):
        if unicodedata.category(chr(number)) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            assert safe(chr(number)).isascii(), hex(number)
    assert safe("24.4 °C é 水") == "24.4 °C é 水"


def watch(broker: RunningBroker, *words: str, terminal: bool = False) -> Tool:
    """Start `limpet watch` at this broker."""
    root, port = broker.setup.layout.root, str(broker.port)
    return Tool("watch", *words, "--fleet", root, "--port", port, terminal=terminal)


def test_prints_topic_payload_and_meaning(broker: RunningBroker) -> None:
    """In a pipe: a line per Message as mosquitto_sub -v has it, its meaning beside or below it."""
    with ScriptedDevice(broker) as device:
        device.says("status", b'{"v":1,"status":"online"}', retain=True)
        with watch(broker) as tool:
            tool.wait_for("online\n")
            device.says("telemetry", READING)
            device.says("telemetry", BACKLOG)
            device.says("alerts", b"no JSON")
            tool.wait_for("no JSON\n")
            tool.interrupt()
            assert tool.end() == 0
    assert tool.text.splitlines() == [
        f'{TOPIC}status {{"v":1,"status":"online"}} (retained)  online',
        f"{TOPIC}telemetry {READING.decode()}  24.4 °C 46.3 % seq 1042 2026-05-28 20:26:40",
        f"{TOPIC}telemetry {BACKLOG.decode()}",
        "    24.4 °C 46.3 % seq 1043 2026-05-28 20:26:50",
        "    -4.1 °C 99.9 % seq 1044 2026-05-28 20:27:00",
        f"{TOPIC}alerts no JSON",
    ]


def test_output_without_a_degree_sign(
    broker: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the output's encoding lacks a character it is written as \\xNN, and nothing ends."""
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    with ScriptedDevice(broker) as device, watch(broker) as tool:
        device.says("status", b"{}", retain=True)
        tool.wait_for("status {}")
        device.says("telemetry", READING)
        tool.wait_for("24.4 \\xb0C 46.3 %")


@pytest.mark.parametrize("raw", [(), ("--raw",)])
def test_terminal_gets_no_control_characters(broker: RunningBroker, raw: tuple[str, ...]) -> None:
    """On a terminal a hostile payload is shown and does nothing, with --raw too."""
    with ScriptedDevice(broker) as device, watch(broker, *raw, terminal=True) as tool:
        # Nothing else of a device's is kept for who comes later.
        device.says("status", b'{"status":"first"}', retain=True)
        tool.wait_for("first")
        device.says("alerts", HOSTILE)
        device.says("telemetry", READING)
        tool.wait_for("1042")
        tool.wait_for(lambda text: text.endswith("\n"))
    assert "\\x1b[2J\\x1b]0;title\\x07 \\u202e\\x9b\\x00\\xff" in tool.text
    # Faint and back is all that watch itself says to the terminal.
    shown = re.sub("\x1b\\[[02]m|\r\n", "", tool.text)
    assert shown.isprintable()


def test_meaning_goes_below_on_a_narrow_terminal(broker: RunningBroker) -> None:
    """Where topic, payload and meaning are wider than the terminal, the meaning goes below."""
    with ScriptedDevice(broker) as device, watch(broker, "node-1", terminal=True) as tool:
        device.says("status", b'{"status":"x"}', retain=True)
        tool.wait_for("(retained)")
        device.says("telemetry", READING)
        tool.wait_for("2026-05-28 20:26:40\r\n")
    lines = re.sub("\x1b\\[[02]m", "", tool.text).splitlines()
    assert lines[0].endswith("(retained)  x")
    assert len(lines[0]) <= COLUMNS
    assert lines[2] == "    24.4 °C 46.3 % seq 1042 2026-05-28 20:26:40"


def test_several_sensors_at_80_columns() -> None:
    """What is long is broken between values, never before a unit; in a pipe it stays on a line."""
    payload = (
        b'{"v":1,"boot":7,"seq":1042,"ts":1780000000,"temperature":24.4,"humidity":46.3,'
        b'"outdoor_temperature":7.1,"outdoor_humidity":81.2,"attic_temperature":null,'
        b'"supply":3.31}'
    )
    assert watch_command.lines(Arrival(f"{TOPIC}telemetry", payload, False, 0.0), 80)[1:] == [
        "    24.4 °C 46.3 % outdoor 7.1 °C 81.2 % attic - °C supply 3.31 V seq 1042",
        "        2026-05-28 20:26:40",
    ]
    for columns in range(24, 120):
        shown = watch_command.lines(Arrival(f"{TOPIC}telemetry", payload, False, 0.0), columns)
        assert all(len(line) <= columns for line in shown[1:]), columns
        assert not any(re.match(r" *(°C|%|V)", line) for line in shown), shown
    assert len(watch_command.lines(Arrival(f"{TOPIC}telemetry", payload, False, 0.0), 10**9)) == 1


def test_units_are_those_of_the_schemas() -> None:
    """A field's name says what it is in, here and for every other consumer."""
    parts = schemas.schemas()["telemetry"]["$defs"]
    units = {name: each["unit"] for name, each in parts.items() if name in UNITS}
    assert units == UNITS | {"humidity": "% relative humidity"}
    patterns = " ".join(parts["reading"]["patternProperties"])
    assert set(re.findall(r"\)\?(\w+)\$", patterns)) == set(UNITS)


def test_raw_is_byte_for_byte(broker: RunningBroker) -> None:
    """With --raw a pipe gets topic and payload exactly as they came."""
    with ScriptedDevice(broker) as device, watch(broker, "--raw") as tool:
        device.says("status", b"{}", retain=True)
        tool.wait_for("status {}\n")
        device.says("alerts", HOSTILE)
        device.says("alerts", b"last")
        tool.wait_for("last\n")
    rest = tool.output.partition(b"alerts ")[2]
    assert rest.startswith(HOSTILE + b"\n")


def test_closed_pipe_is_no_error(broker: RunningBroker) -> None:
    """When the reader of its pipe goes away, watch ends with 0 and without a word."""
    line = [
        str(LIMPET),
        "watch",
        "--fleet",
        str(broker.setup.layout.root),
        "--port",
        str(broker.port),
    ]
    with (
        ScriptedDevice(broker) as device,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout
        assert process.stderr
        device.says("status", b"{}", retain=True)
        assert process.stdout.readline()
        process.stdout.close()
        # The first write after that may still find room in nobody's pipe; the next cannot.
        while process.poll() is None:
            device.says("alerts", b"x")
        assert (process.wait(TIMEOUT_S), process.stderr.read()) == (0, b"")


def test_survives_the_broker(broker: RunningBroker) -> None:
    """A broker that restarts is found again, subscriptions included, and both is said."""
    with watch(broker) as tool:
        with ScriptedDevice(broker) as device:
            device.says("status", b"{}", retain=True)
            tool.wait_for("status {}")
        broker.restart()
        tool.wait_for("connection lost")
        tool.wait_for("connected again")
        with ScriptedDevice(broker) as device:
            device.says("status", b'{"a":1}', retain=True)
            tool.wait_for('status {"a":1}')


def test_two_at_once(broker: RunningBroker) -> None:
    """Operators do not throw each other out: two watches both see every Message."""
    with watch(broker) as first, watch(broker) as second, ScriptedDevice(broker) as device:
        device.says("status", b"{}", retain=True)
        for tool in (first, second):
            tool.wait_for("status {}")
        device.says("alerts", b"both")
        for tool in (first, second):
            assert "connection lost" not in tool.wait_for("alerts both")


def test_device_that_is_not_there(broker: RunningBroker) -> None:
    """A mistyped name is no topic of anybody's: who there is, is said."""
    with watch(broker, "node-9") as tool:
        assert tool.end() == 1
    where, known = f"in {broker.setup.layout.root}", ", ".join(broker.setup.layout.bases())
    assert "node-1, node-2" in known
    assert f"No device is called 'node-9' {where}.\nThere is: {known}" in tool.text


def _again(times: int) -> Callable[[str], bool]:
    return lambda text: text.count("connected again") >= times


def test_operator_of_another_tool(broker: RunningBroker) -> None:
    """Who uses operator.crt for a tool of his own meets nobody of ours; who uses another of ours is
    told why both are thrown out again and again.
    """
    layout = broker.setup.layout

    def other(name: str) -> Client:
        pair = load(*layout.operator_pair(name))
        return broker.client(name, identity=pair)

    free = operator_identity(layout.root)  # the one that the tool will take
    free.release()
    with watch(broker) as tool, ScriptedDevice(broker) as device:
        device.says("status", b"{}", retain=True)
        tool.wait_for("status {}")
        first = other("operator").connect()
        device.says("alerts", b"1")
        tool.wait_for("alerts 1")
        assert not first.closed
        assert "connection lost" not in tool.text
        for back in (1, 2, 3):
            other(free.name).connect()
            tool.wait_for(_again(back))
    assert f"client-id-taken? Somebody else with {free.name}.crt throws us out" in tool.text


def test_interrupted_by_a_terminal(broker: RunningBroker) -> None:
    """Ctrl-C on a quiet broker ends it at once with 0, whatever has arrived: nothing."""
    with watch(broker, "limpet/+/+/+/+/alerts") as tool:
        # It says nothing when it is ready, and has to be able to end before that too.
        with ScriptedDevice(broker, "node-2") as device:
            while "x" not in tool.text:
                device.says("alerts", b"x")
        tool.process.send_signal(signal.SIGINT)
        assert tool.end() == 0
    assert re.fullmatch(rf"({base('node-2')}/alerts x\n)+", tool.text)


@pytest.fixture
def stranger(tmp_path: Path) -> Layout:
    """A set-up of its own: neither knows the broker's CA, nor does the broker know this one's."""
    other = open_setup(fleet(tmp_path / "other"))
    other.device(fields("node-1"))
    return other.layout


def test_broker_of_another_ca_is_refused(broker: RunningBroker, stranger: Layout) -> None:
    """A broker whose certificate the set-up's CA did not issue: refused, said in words, exit 1."""
    with Tool("watch", "--fleet", stranger.root, "--port", str(broker.port)) as tool:
        assert tool.end() == 1
    assert f"The certificate of 127.0.0.1:{broker.port} is refused" in tool.text
    assert "Traceback" not in tool.text


def test_refused_by_the_broker(broker: RunningBroker, stranger: Layout) -> None:
    """A certificate that the broker does not accept: said in words with its file, exit 1."""
    shutil.copy(broker.setup.layout.ca_certificate, stranger.ca_certificate)
    with Tool("watch", "--fleet", stranger.root, "--port", str(broker.port)) as tool:
        assert tool.end() == 1
    assert f"127.0.0.1:{broker.port} refuses us" in tool.text
    assert "operator-2.crt" in tool.text


def test_another_name_is_verified(broker: RunningBroker) -> None:
    """--server-name is what the certificate has to carry, in place of the address."""
    with watch(broker, "--server-name", "localhost", "a/#/b") as tool:
        assert tool.end() == 1
    assert "'a/#/b' is no topic filter" in tool.text
    with watch(broker, "--server-name", "elsewhere") as tool:
        assert tool.end() == 1
    assert "is refused: Hostname mismatch" in tool.text


@pytest.mark.skipif(KIND == "mosquitto", reason="grants any subscription, and delivers nothing")
def test_subscription_that_is_not_granted(broker: RunningBroker) -> None:
    """A filter outside of the operator's rights ends it: nothing would ever come."""
    with watch(broker, "elsewhere/#") as tool:
        assert tool.end() == 1
    assert "refuses the subscription to elsewhere/#" in tool.text
