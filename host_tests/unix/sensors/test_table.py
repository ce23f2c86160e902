"""The laptop's table: several sensors of any kind, each played from its capture, and stricter than
the chip's.

What a capture holds is worked out here from the datasheets' words, not by the drivers.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import laptop_sensors
from limpet.shared.paths import CAPTURES
from limpet.shared.problem import Problem
from support.micropython.upy import OWN_TIME, run

# At this speed 2 s of the node's time are 2 ms, and what is 20 real ms early is forgiven.
SPEED = "1000"

READ_ALL = """
import board, laptop, machine
from sensing import SensorError, measure

def wait(ms):
    until = laptop.clock.now() + ms
    while laptop.clock.now() < until:
        pass

made = []
for driver, wiring, *more in board.SENSORS:
    wiring = wiring if isinstance(wiring, tuple) else (wiring,)
    made.append(__import__(driver).sensor(machine, *wiring, *more[1:]))
wait(1000)
for _ in range({count}):
    for sensor in made:
        try:
            if sensor.fresh_ms < sensor.pace_ms:
                sensor.start()
                wait(sensor.lead_ms)
            print(*measure(sensor))
        except SensorError as error:
            print(error.args[0])
        wait(sensor.pace_ms)
"""


def lines(capture: str) -> list[dict[str, Any]]:
    """The lines of a capture that comes with the laptop."""
    return [json.loads(each) for each in (CAPTURES / f"{capture}.jsonl").read_text().splitlines()]


def nearest(value: float) -> int:
    """The whole number that is nearest."""
    return math.floor(value + 0.5)


def of_dht11(line: dict[str, Any]) -> str:
    """A byte of whole degrees and one of tenths each, by the sum of each bit's low and high."""
    us = line["us"]
    bits = "".join("1" if a + b > 99 else "0" for a, b in zip(us[4:84:2], us[5:84:2], strict=True))
    wet, tenth_wet, warm, tenth_warm, check = (int(bits[i : i + 8], 2) for i in range(0, 40, 8))
    assert (wet + tenth_wet + warm + tenth_warm) % 256 == check
    return f"{warm * 10 + tenth_warm} {wet * 10 + tenth_wet}"


def of_ds18b20(line: dict[str, Any]) -> str:
    """Sixteenths of a degree in the first two bytes."""
    raw = int.from_bytes(bytes.fromhex(line["pad"])[:2], "little", signed=True)
    return str(nearest(raw / 16 * 100))


def of_sht(line: dict[str, Any], low: float, span: float) -> str:
    """Two words of 16 bits, of which each has a CRC behind it."""
    data = bytes.fromhex(line["i2c"])
    warm, wet = (int.from_bytes(data[i : i + 2], "big") / 65535 for i in (0, 3))
    return f"{nearest((warm * 175 - 45) * 100)} {nearest((wet * span + low) * 100)}"


def of_supply(line: dict[str, Any]) -> str:
    """100 kOhm above, 47 below."""
    return str(nearest(line["uv"] * 147 / 47 / 1000))


EXPECTED = {
    "dht11": of_dht11,
    "ds18b20": of_ds18b20,
    "sht3x": lambda line: of_sht(line, 0, 100),
    "sht4x": lambda line: of_sht(line, -6, 125),
}


@pytest.mark.parametrize("driver", EXPECTED)
def test_capture_gives_the_same_on_the_node(driver: str) -> None:
    """Values come in the capture's order, and after its end it begins again."""
    once = [EXPECTED[driver](line) for line in lines(laptop_sensors.PLAYED[driver])]
    env = {"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": driver}
    said = run(READ_ALL.format(count=len(once) + 2), env=env).splitlines()
    assert said == [*once, *(once * 2)[:2]]
    assert len(once) > 1


def test_supply_follows_its_capture() -> None:
    """A mean of what was at the pin at some moments of the capture, in order: a cell that runs
    empty.
    """
    env = {"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": "supply"}
    said = [int(each) for each in run(READ_ALL.format(count=20), env=env).split()]
    values = [int(of_supply(line)) for line in lines("supply_made_up")]
    assert all(min(values) <= each <= max(values) for each in said)
    assert said[0] - values[0] < 10
    assert said[-1] < said[0] - 20


def test_real_scratchpads_are_read() -> None:
    """What a DS18B20 had on the wire: 26.75 degrees, then 25.5, which owfs said that it was."""
    capture = CAPTURES / "ds18b20_1mhz.jsonl"
    env = {"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": f"ds18b20={capture}"}
    assert run(READ_ALL.format(count=3), env=env).split() == ["2675", "2550", "2675"]


def test_two_sensors_play_beside_each_other() -> None:
    """Each has its own pin and its own place in its capture; two of a kind have their own files."""
    text = laptop_sensors.setting(f"dht22,ds18b20:outdoor,dht22:low={CAPTURES}/am2320_1mhz.jsonl")
    script = "import board\nprint(board.SENSORS)\n" + READ_ALL.format(count=2)
    said = run(script, env={"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": text}).splitlines()
    first, second = (of_ds18b20(line) for line in lines("ds18b20_made_up")[:2])
    assert said[0] == "(('dht22', 27), ('ds18b20', 25, 'outdoor'), ('dht22', 33, 'low'))"
    assert said[1:] == ["244 464", first, said[3], "245 464", second, said[3]]


ASK = """
import laptop, machine
from onewire import OneWire
def wait(ms):
    until = laptop.clock.now() + ms
    while laptop.clock.now() < until:
        pass
bus = OneWire(machine.Pin(27))
pad = bytearray(9)
def ask():
    bus.reset()
    bus.write(b"\\xcc")
    bus.write(b"\\xbe")
    bus.readinto(pad)
    return pad
"""


def ask(script: str, **env: str) -> str:
    """Run a script that has the bus with a DS18B20, at a speed at which it cannot be late."""
    env = {"LIMPET_SENSORS": "ds18b20", "LIMPET_SPEED": "10"} | env
    return run(ASK + script, env=env, path=[OWN_TIME]).strip()


def test_sensor_that_converts_answers_nobody() -> None:
    """For 750 ms; before the first conversion it has the 85 degrees of its power-up."""
    said = ask(r"""
print(ask()[:2], bus.crc8(pad))
bus.reset()
bus.write(b"\xcc")
bus.write(b"\x44")
wait(400)
print(bus.reset())
wait(400)
print(ask()[:2] != b"\x50\x05", bus.crc8(pad))
""")
    assert said.splitlines() == ["bytearray(b'P\\x05') 0", "False", "True 0"]


def test_sensor_answers_by_its_rom_alone() -> None:
    """READ ROM gives it with its checksum; another one's gets ones."""
    said = ask(r"""
rom = bytearray(8)
bus.reset()
bus.write(b"\x33")
bus.readinto(rom)
print(rom[0] == 0x28, bus.crc8(rom))
for number in (rom, b"\x28" + bytes(7)):
    bus.reset()
    bus.write(b"\x55")
    bus.write(number)
    bus.write(b"\xbe")
    bus.readinto(pad)
    print(min(pad) == 0xff)
""")
    assert said.splitlines() == ["True 0", "False", "True"]


def test_nobody_is_on_another_pin() -> None:
    """No presence pulse there, and no DHT, nor an SHT or a voltage."""
    said = ask(r"""
import wires
print(OneWire(machine.Pin(14)).reset())
for call in (
    lambda: machine.dht_readinto(machine.Pin(27), bytearray(5)),
    lambda: machine.dht_readinto(machine.Pin(14), bytearray(5)),
    lambda: machine.SoftI2C(machine.Pin(22), machine.Pin(21)).writeto(0x44, b"\xfd"),
):
    try:
        call()
        print("answered")
    except OSError:
        print("silent")
print(machine.ADC(machine.Pin(35)).read_uv())
""")
    assert said.splitlines() == ["False", "silent", "silent", "silent", "0"]


def test_silences_of_a_capture_are_played(tmp_path: Path) -> None:
    """An empty pad is a sensor that does not answer, once; a wrong checksum goes through."""
    good = lines("ds18b20_made_up")[0]
    bad = {"pad": "00" + good["pad"][2:]}
    capture = tmp_path / "some.jsonl"
    rows = [good, {"pad": ""}, {"pad": ""}, bad]
    capture.write_text("".join(json.dumps({"t": 0} | each) + "\n" for each in rows))
    env = {"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": f"ds18b20={capture}"}
    said = run(READ_ALL.format(count=5), env=env).splitlines()
    first = of_ds18b20(good)
    assert said == [first, "no-response", "no-response", "checksum", first]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ('bus.write(b"\\xcc")', "AssertionError"),
        ('bus.reset(); bus.write(b"\\x44")', "AssertionError"),
        ('bus.reset(); bus.write(b"\\xcc"); bus.write(b"\\x4e")', "AssertionError"),
        ("OneWire(27)", "TypeError"),
        ("OneWire(machine.Pin(14)).reset(True)", "OneWireError"),
        ("machine.ADC(machine.Pin(27))", "ValueError"),
        ("machine.SoftI2C(machine.Pin(22), machine.Pin(22))", "ValueError"),
        ("machine.PWM", "AttributeError"),
    ],
)
def test_wires_are_strict(call: str, error: str) -> None:
    """What breaks the protocol, or what no chip would take, is refused."""
    script = f"""
try:
    {call}
    print("accepted")
except Exception as error:
    print(type(error).__name__)
"""
    assert ask(script) == error


def test_sht_is_read_once_and_not_too_soon() -> None:
    """A measurement that was not begun, is not done or was read already is not acknowledged."""
    script = r"""
import laptop, machine
bus = machine.SoftI2C(machine.Pin(22), machine.Pin(21))
answer = bytearray(6)
def read():
    try:
        bus.readfrom_into(0x44, answer)
        return "read"
    except OSError:
        return "silent"
print(read())
bus.writeto(0x44, b"\xfd")
print(read())
until = laptop.clock.now() + 10
while laptop.clock.now() < until:
    pass
print(read(), read())
"""
    # A hundredth of the speed, so that 9 ms are longer than what is forgiven.
    env = {"LIMPET_SENSORS": "sht4x", "LIMPET_SPEED": "0.1"}
    said = run(script, env=env, path=[OWN_TIME])
    assert said.splitlines() == ["silent", "silent", "read silent"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dht23", "LIMPET_SENSORS=dht23: no sensor here is called dht23"),
        ("supply,supply:a,supply:b", "too many sensors of one kind"),
    ],
)
def test_setting_that_the_node_refuses(text: str, words: str) -> None:
    """Exit code 78 and a line that names it."""
    assert words in run("import board", env={"LIMPET_SENSORS": text}, exit_code=78)


@pytest.mark.parametrize("driver", ["ds18b20", "sht4x", "supply"])
@pytest.mark.parametrize("text", ['{"t": 0}', '{"pad": "zz", "i2c": "00", "uv": -1}', "no JSON"])
def test_capture_that_is_none_is_named(driver: str, text: str, tmp_path: Path) -> None:
    """By its file and line; the node ends with 78."""
    capture = tmp_path / "some.jsonl"
    capture.write_text(text + "\n")
    said = run(
        READ_ALL.format(count=1), env={"LIMPET_SENSORS": f"{driver}={capture}"}, exit_code=78
    )
    assert said == f"LIMPET_SENSORS: {capture}, line 1: not a capture\n"


def test_thermometer_without_a_rom_is_named(tmp_path: Path) -> None:
    """A capture of a DS18B20 says whose it is."""
    capture = tmp_path / "some.jsonl"
    capture.write_text(json.dumps({"t": 0, "pad": lines("ds18b20_made_up")[0]["pad"]}))
    said = run(READ_ALL.format(count=1), env={"LIMPET_SENSORS": f"ds18b20={capture}"}, exit_code=78)
    assert said == f"LIMPET_SENSORS: {capture} has no rom in its first line\n"


def test_every_sensor_of_the_option_stands_on_the_table() -> None:
    """What --sensors offers is what the laptop plays, as many of a kind as it says."""
    for driver in laptop_sensors.PLAYED:
        text = ",".join(f"{driver}:s{n}" for n in range(laptop_sensors.MOST_OF_A_KIND))
        env = {"LIMPET_SPEED": SPEED, "LIMPET_SENSORS": laptop_sensors.setting(text)}
        said = run("import board\nprint(len(board.SENSORS))", env=env)
        assert int(said) == laptop_sensors.MOST_OF_A_KIND


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("bmp280", "no sensor on the laptop's table is called 'bmp280'."),
        ("dht22,", "no sensor on the laptop's table is called ''."),
        ("dht22:Out door", "'Out door' is no name that a field could begin with."),
        ("dht22:", "'' is no name that a field could begin with."),
        ("dht22=none.jsonl", "there is no file none.jsonl."),
        ("supply,supply:a,supply:b", "there is no pin for so many supply."),
        (
            "dht22,ds18b20",
            "temperature would be there twice, from dht22 and from ds18b20: one of them needs a "
            "name.",
        ),
        (
            "sht3x,sht4x",
            "temperature would be there twice, from sht3x and from sht4x: one of them needs a "
            "name.",
        ),
    ],
)
def test_option_that_is_refused(text: str, cause: str) -> None:
    """Before anything is started, by what is wrong with it."""
    with pytest.raises(Problem) as refused:
        laptop_sensors.setting(text)
    assert refused.value.cause == f"--sensors {text}: {cause}"


def test_dht22_without_a_capture_plays_the_one_of_replay() -> None:
    """As `limpet node --replay` says; another that it names goes before that."""
    text = laptop_sensors.setting(f"dht22,dht22:low={CAPTURES}/am2302_1mhz_200s.jsonl")
    env = {"LIMPET_SPEED": SPEED, "LIMPET_REPLAY": f"{CAPTURES}/am2320_1mhz.jsonl"}
    said = run(READ_ALL.format(count=1), env=env | {"LIMPET_SENSORS": text}).splitlines()
    assert said[1] == "244 464"
    assert said[0] not in ("", said[1])


def test_path_with_a_comma_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can come of the folder that one is in, and would be the next sensor."""
    folder = tmp_path / "a,b"
    folder.mkdir()
    (folder / "cold.jsonl").write_text("")
    monkeypatch.chdir(folder)
    with pytest.raises(Problem, match=r"the path \S+/a,b/cold.jsonl has a comma, which would end"):
        laptop_sensors.setting("ds18b20=cold.jsonl")
