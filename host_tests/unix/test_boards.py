"""The Boards: the same names on each, no pin misused, and a laptop that is stricter than a chip."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import board_facts
from limpet.shared.paths import LIB
from limpet.shared.problem import Problem
from limpet.simulator.diagram_sensors import simulated
from support.micropython.upy import OWN_TIME, REPO, run

BOARDS = sorted(path.parent for path in (REPO / "boards").glob("*/board.py"))
HOST = REPO / "boards/host"
ESP32_BOARDS = [path for path in BOARDS if path != HOST]

# What each chip, on the modules of these Boards, has for other duties.
CHIPS = {
    # ESP32 datasheet 2.2 and 3 (strapping), ESP-IDF's GPIO page. 16 and 17: a WROVER's PSRAM.
    "esp32": {
        "there": {*range(20), *range(21, 24), *range(25, 28), *range(32, 40)},
        "strapping": {0, 2, 5, 12, 15},
        "flash": set(range(6, 12)),
        "psram": {16, 17},
        "input only": set(range(34, 40)),
        "usb": set(),
        "serial": {1, 3},
    },
    # ESP32-S3 datasheet 2.3 and 3, ESP-IDF's GPIO page: 33 to 37 are octal flash or PSRAM. 47 and
    # 48 have 1.8 V on WROOM-2 modules. 38 and 48 carry the WS2812, by the board's version.
    "esp32s3": {
        "there": {*range(22), *range(26, 49)},
        "strapping": {0, 3, 45, 46},
        "flash": set(range(26, 33)),
        "psram": set(range(33, 38)) | {47, 48},
        "input only": set(),
        "usb": {19, 20},
        "serial": {43, 44},
        "on board": {38, 48},
    },
    # ESP32-C3 datasheet 2.3 and 3: 11 is VDD_SPI, which feeds the flash. 8 carries the WS2812.
    "esp32c3": {
        "there": set(range(22)),
        "strapping": {2, 8, 9},
        "flash": set(range(11, 18)),
        "psram": set(),
        "input only": set(),
        "usb": {18, 19},
        "serial": {20, 21},
        "on board": {8},
    },
}
CHIPS["host"] = CHIPS["esp32"]  # boards/host/machine.py is one

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)
each_esp32 = pytest.mark.parametrize("board", ESP32_BOARDS, ids=lambda path: path.name)


def offered(board: Path) -> dict[str, ast.stmt]:
    """The public names at the top of a board.py that are not modules, each with its statement."""
    names: dict[str, ast.stmt] = {}
    for statement in ast.parse((board / "board.py").read_text()).body:
        match statement:
            case ast.FunctionDef():
                names[statement.name] = statement
            case ast.ImportFrom():
                names.update((found.asname or found.name, statement) for found in statement.names)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names[name] = statement
            case ast.Assign(targets=[ast.Tuple(elts=elements)]):
                names.update((ast.unparse(each), statement) for each in elements)
    # Imported for the board's own use: what makes the parts, and a constant.
    inner = {"Wifi", "clock_by", "wired", "BAD_SETTING"}
    return {name: made for name, made in names.items() if name[0] != "_" and name not in inner}


def said(board: Path, name: str) -> Any:
    """The constant that a board.py gives this name."""
    if (board, name) == (HOST, "SENSORS"):
        # The only one that a setting changes: what stands there without any.
        return ast.literal_eval(run("import board\nprint(board.SENSORS)"))
    statement = offered(board)[name]
    assert isinstance(statement, ast.Assign)
    return ast.literal_eval(statement.value)


def gpios(board: Path) -> list[tuple[str, int]]:
    """The pins that a board.py names, each with who has it."""
    found = [(name, said(board, name)) for name in offered(board) if name.endswith("_GPIO")]
    for driver, pins, *_ in said(board, "SENSORS"):
        found += [(driver, pin) for pin in (pins if isinstance(pins, tuple) else (pins,))]
    return found


def documented() -> set[str]:
    """The names in the first column of the README's table of what a Board offers."""
    table = (REPO / "boards/README.md").read_text().split("## What a Board offers")[1]
    table = table.split("## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return set(re.findall(r"`(\w+)", " ".join(cells)))


def test_there_is_a_laptop_and_a_chip() -> None:
    """The Boards are found at all, and are those that the README lists."""
    listed = re.findall(
        r"^\| \[(\w+)\]\((\w+)/README\.md\)", (REPO / "boards/README.md").read_text(), re.M
    )
    assert [(path.name, path.name) for path in BOARDS] == sorted(listed)
    assert {"host", "esp32_devkit"} <= {path.name for path in BOARDS}
    assert {said(path, "CHIP") for path in BOARDS} == set(CHIPS)


@each_board
def test_board_offers_what_the_readme_says(board: Path) -> None:
    """No name is missing, and none is there that other Boards lack."""
    assert set(offered(board)) == documented()


def test_boards_functions_take_the_same_parameters() -> None:
    """What the ESP32 Boards have in common is called in the same way as on the laptop."""

    def parameters(path: Path) -> dict[str, str]:
        functions = [f for f in ast.walk(ast.parse(path.read_text())) if type(f) is ast.FunctionDef]
        return {f.name: ast.unparse(f.args) for f in functions if f.name in documented()}

    shared = parameters(REPO / "firmware/device/esp32_board.py")
    assert shared == parameters(HOST / "board.py")
    assert len(shared) == 7


@each_esp32
def test_esp32_board_is_facts_alone(board: Path) -> None:
    """Nothing is defined in an ESP32's board.py: what all three would repeat is in one place."""
    tree = ast.parse((board / "board.py").read_text())
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


@each_board
def test_board_uses_no_pin_twice_and_none_that_is_taken(board: Path) -> None:
    """No GPIO is used twice or has another duty on that chip, or is missing there; and none is a
    bare number in the code.
    """
    pins = gpios(board)
    assert len(pins) >= 2
    assert len({gpio for _, gpio in pins}) == len(pins)
    duties = CHIPS[said(board, "CHIP")]
    for name, gpio in pins:
        assert gpio in duties["there"], f"{name} is not there"
        taken = [duty for duty, taken in duties.items() if duty != "there" and gpio in taken]
        assert not taken, f"{name} is taken: {taken}"
    bare = re.findall(r"(?:Pin|Sensor|wired)\(\d+", (board / "board.py").read_text())
    assert not bare


@each_esp32
def test_readme_warns_of_the_pins_that_are_taken(board: Path) -> None:
    """Whoever chooses another pin reads beside the wiring which ones are taken on this chip."""
    text = (board / "README.md").read_text()
    named = {int(number) for number in re.findall(r"(?<![-\w])(?:GPIO)?(\d+)(?![-\w.])", text)}
    for low, high in re.findall(r"(\d+) to (\d+)", text):
        named |= set(range(int(low), int(high) + 1))
    duties = CHIPS[said(board, "CHIP")]
    for duty, taken in duties.items():
        assert duty == "there" or taken <= named, f"{duty}: {taken - named}"


@each_board
def test_board_knows_its_name(board: Path) -> None:
    """NAME is the folder's."""
    assert said(board, "NAME") == board.name


@each_esp32
def test_readme_shows_the_wiring(board: Path) -> None:
    """Each GPIO has a line in the table of its README: the header's pin, and what is on it."""
    text = (board / "README.md").read_text()
    ours, second = (wired(part) for part in text.split("\n## A second"))
    assert set(ours.values()) == {gpio for _, gpio in gpios(board)}
    assert [("dht22", ours["DHT22 pin 2 (data)", ""])] == list(said(board, "SENSORS"))
    assert ours["LED anode", "330 Ohm"] == said(board, "LED_GPIO")
    assert list(second) == [("DS18B20 pin 2 (DQ)", "")]


def wired(text: str) -> dict[tuple[str, str], int]:
    """What the table in a README's text has on GPIOs: by what it is, and through what."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    found = {}
    for pin, to, through in [row for row in rows if row][2:]:
        assert re.fullmatch(r"\w+ \(J\d-\d+(, marked IO\d+)?\)", pin), pin
        if pin.startswith("GPIO"):
            found[to, through] = int(pin[4:].split()[0])
    return found


@each_esp32
def test_second_sensor_of_the_readme_is_the_one_in_wokwi(board: Path) -> None:
    """The line that it gives for SENSORS has the pin of its table, free on this chip, and is what
    the diagram has.
    """
    text = (board / "README.md").read_text().split("\n## A second")[1]
    (pin,) = wired(text).values()
    line = ast.literal_eval(re.findall(r"`(\(.*\))`", text)[0])
    assert line == ("ds18b20", pin, "outdoor")
    facts = board_facts.facts(board.name)
    diagram = json.loads((board / "diagram.json").read_text())
    assert [each.line for each in simulated(diagram, facts)] == [*said(board, "SENSORS"), line]
    duties = CHIPS[said(board, "CHIP")]
    assert [duty for duty, gpios in duties.items() if pin in gpios] == ["there"]


@each_esp32
def test_import_of_a_board_touches_no_hardware(board: Path) -> None:
    """board.py imports with a `machine` and a `network` that cannot do anything yet."""
    script = """
import sys
class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
    @staticmethod
    def reset_cause():
        return 3
class network:
    pass
sys.modules["machine"] = machine
sys.modules["network"] = network
import board
print(board.NAME, board.network.due, board.network.cause, board.reset_cause())
print(all(0 <= board.random() < 1 for _ in range(1000)), board.heap_free() > 0)
print(board.interruptible(len) is len, board.halt())
"""
    printed = run(script, path=[board])
    assert printed == f"{board.name} None no-ssid watchdog\nTrue True\nTrue None\n"


@each_esp32
def test_board_drives_the_pins_it_names(board: Path) -> None:
    """`led` drives LED_GPIO and nothing else, `sensor` reads where SENSORS says."""
    script = """
import sys
class Pin:
    OUT = 3
    def __init__(self, gpio, mode=None, value=None):
        self.gpio = gpio
        print(gpio, mode, value)
class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
    @staticmethod
    def dht_readinto(pin, buffer):
        print("read", pin.gpio)
        buffer[:] = bytes((1, 208, 0, 244, 197))
machine.Pin = Pin
sys.modules["machine"] = machine
sys.modules["network"] = machine
import board
board.led(True)
board.led(False)
print([each.read() for each in board.sensors()])
"""
    led, sensor = said(board, "LED_GPIO"), said(board, "SENSORS")[0][1]
    printed = run(script, path=[board]).splitlines()
    lights = [f"{led} 3 True", f"{led} 3 False"]
    assert printed == [*lights, f"{sensor} None None", f"read {sensor}", "[(244, 464)]"]


@each_esp32
def test_clock_of_a_board_waits_for_its_network(board: Path) -> None:
    """No time server is looked up while the Board's network is down."""
    script = """
import sys
class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
sys.modules["machine"] = machine
sys.modules["network"] = machine
import board
asked = []
class Net:
    SOCK_DGRAM = 2
    def getaddrinfo(self, *name):
        asked.append(name[0])
        raise OSError(2)
board.clock._ntp._how["net"] = Net()
board.clock._set_system = None
board.clock.run(0)
print(asked)
board.network.cause = None
board.clock._ntp.due = 0
board.clock.run(0)
print(len(asked))
"""
    assert run(script, path=[board]) == "[]\n1\n"


@each_esp32
def test_manifest_freezes_what_is_there(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest freezes lib/, both packages, line and board atop the port's own; they exist. The
    clients for other people's programs are left out.
    """
    frozen: list[str] = []
    folders = [board]  # paths are relative to the manifest that is being read, as in MicroPython's

    def include(path: str) -> None:
        if "$" in path:
            frozen.append(path)
            return
        manifest = (folders[-1] / path).resolve()
        folders.append(manifest.parent)
        monkeypatch.chdir(manifest.parent)
        exec(manifest.read_text(), names)  # noqa: S102 (a manifest is run, not imported)
        folders.pop()
        monkeypatch.chdir(folders[-1])

    def package(name: str, base_path: str) -> None:
        assert (folders[-1] / base_path / name / "__init__.py").is_file()
        frozen.append(name)

    def freeze(path: str, files: list[str]) -> None:
        assert (folders[-1] / path).resolve() == LIB
        assert files == sorted(each.name for each in LIB.glob("*.py"))
        frozen.append("lib")

    def module(path: str, base_path: str = ".") -> None:
        assert (folders[-1] / base_path / path).is_file()
        frozen.append(path)

    names = {"include": include, "package": package, "freeze": freeze, "module": module}
    include("manifest.py")
    assert frozen == [
        "$(PORT_DIR)/boards/manifest.py",
        "lib",
        "node",
        "device",
        "app.py",
        "board.py",
    ]


# --- what the tools read of a Board ---------------------------------------------------------------


@each_esp32
def test_tools_read_the_facts_of_a_board(board: Path) -> None:
    """board_facts has the same chip and flash as board.py, and finds the Board's folder."""
    facts = board_facts.facts(board.name)
    assert facts.folder == board
    assert (facts.name, facts.chip, facts.flash_mb, facts.ota) == tuple(
        said(board, name) for name in ("NAME", "CHIP", "FLASH_MB", "OTA")
    )
    assert board_facts.names() == [path.name for path in ESP32_BOARDS]


@pytest.mark.parametrize(
    ("name", "flash_mb", "layout"),
    [
        ("esp32_devkit", None, (0x1000, 0x200000, 512)),
        ("esp32s3_devkitc", None, (0x0, 0x200000, 1536)),
        ("esp32s3_devkitc", 16, (0x0, 0x200000, 3584)),
        ("esp32c3_devkitm", None, (0x0, 0x200000, 512)),
    ],
)
def test_layout_of_the_flash(name: str, flash_mb: int | None, layout: tuple[int, ...]) -> None:
    """Image and file system lie where the chip's ROM and MicroPython look for them."""
    facts = board_facts.facts(name, flash_mb)
    assert (facts.image_offset, facts.files_offset, facts.files_blocks) == layout


@pytest.mark.parametrize(
    ("name", "flash_mb", "cause"),
    [
        ("esp8266", None, "There is no board esp8266."),
        ("host", None, "There is no board host."),
        ("esp32_devkit", 2, "MicroPython has no image for a flash of 2 MB."),
    ],
)
def test_board_that_there_is_not(name: str, flash_mb: int | None, cause: str) -> None:
    """An unknown name, the laptop, and a size of flash that MicroPython has no image for."""
    with pytest.raises(Problem) as raised:
        board_facts.facts(name, flash_mb)
    assert raised.value.cause == cause


# --- the laptop ---------------------------------------------------------------------------------

WAIT = """
import laptop
def wait(until):
    while laptop.clock.now() < until:
        pass
"""


def test_laptop_sensor_reads_through_the_board() -> None:
    """After its second of power-up the sensor gives the capture's first values, in tenths."""
    script = WAIT + "import board\nwait(1000)\nprint(board.sensors()[0].read())\n"
    assert run(script, env={"LIMPET_SPEED": "100"}) == "(244, 464)\n"


def test_laptop_sensor_is_silent_when_asked_too_soon() -> None:
    """Within 2 s of the last request, answered or not, there is no answer and no value is spent."""
    script = (
        WAIT
        + """
import board
from sensing import SensorError
(sensor,) = board.sensors()
for at in (1000, 2000, 3500, 5600):
    wait(at)
    try:
        print(sensor.read())
    except SensorError as error:
        print(error.args[0])
"""
    )
    said = run(script, env={"LIMPET_SPEED": "10"}, path=[OWN_TIME])
    assert said.splitlines() == ["(244, 464)", "no-response", "no-response", "(245, 464)"]


@pytest.mark.parametrize(("cause", "said"), [("power-on", "no-response"), ("hard", "(244, 464)")])
def test_laptop_sensor_needs_its_second_after_power_up(cause: str, said: str) -> None:
    """A freshly powered sensor is silent in its first second; a reset takes no power from it."""
    script = """
import board
from sensing import SensorError
try:
    print(board.sensors()[0].read())
except SensorError as error:
    print(error.args[0])
"""
    assert run(script, env={"LIMPET_RESET": cause}, path=[OWN_TIME]).strip() == said


@pytest.mark.parametrize(
    "levels",
    [
        # The line goes quiet after eight ones and one low; nobody knows how long its high would be.
        [20000, 44, 61, 81, *([54, 73] * 8), 54, 73],
        # A whole frame, but for one high that is longer than the chip's driver waits.
        [20000, 44, 61, 81, *([54, 73] * 8), 54, 101, *([54, 26] * 31), 47],
    ],
    ids=["breaks off", "high too long"],
)
def test_laptop_sensor_leaves_part_of_a_frame_behind(levels: list[int]) -> None:
    """An answer that breaks off is a silence with the first bits in the buffer, as on the chip."""
    script = (
        WAIT
        + f"""
import errno, machine
with open("capture.jsonl", "w") as file:
    file.write('{{"t": 0, "us": {levels}}}')
buffer = bytearray(5)
wait(1000)
try:
    machine.dht_readinto(machine.Pin(27), buffer)
except OSError as error:
    print(error.errno == errno.ETIMEDOUT, buffer)
"""
    )
    settings = {"LIMPET_SPEED": "100", "LIMPET_REPLAY": "capture.jsonl"}
    assert run(script, env=settings) == "True bytearray(b'\\xff\\x00\\x00\\x00\\x00')\n"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("machine.dht_readinto(27, bytearray(5))", "ValueError expecting a pin"),
        ("machine.dht_readinto(machine.Pin(27), bytearray(4))", "ValueError buffer too small"),
        ("machine.Pin(6)", "ValueError invalid pin"),
        ("machine.Pin(40)", "ValueError invalid pin"),
        ("machine.Pin(34, machine.Pin.OUT)", "ValueError pin can only be input"),
        ("machine.Pin(26).value(1)", "ValueError pin is an input"),
        ("machine.WDT(timeout=0)", "ValueError WDT timeout too short"),
    ],
)
def test_laptop_machine_is_strict(call: str, error: str) -> None:
    """What the chip would refuse or take amiss is refused here too."""
    script = f"""
import machine
try:
    {call}
    print("accepted")
except Exception as error:
    print(type(error).__name__, error)
"""
    assert run(script).strip() == error


@pytest.mark.parametrize(("hard", "code"), [("True", 64), ("False", 66)])
def test_laptop_reset_runs_nothing_more(hard: str, code: int) -> None:
    """A reset ends the process on the spot with its own exit code, past any `finally`."""
    script = f"""
import board
try:
    board.reset({hard})
finally:
    print("still here")
"""
    assert run(script, exit_code=code) == ""


def test_laptop_watchdog_bites_only_who_hangs() -> None:
    """Fed in time it lets live, beyond its own time too; a hang ends with exit code 65."""
    script = """
import board, time
watchdog = board.watchdog(2000)
for _ in range(6):
    time.sleep_ms(400)
    watchdog.feed()
print("fed")
while True:
    pass
"""
    assert run(script, exit_code=65) == "fed\n"


def test_laptop_watchdog_bites_who_sleeps() -> None:
    """Waiting for ever in a system call is a hang too; times over a second are kept as well."""
    script = """
import board, time
watchdog = board.watchdog(2400)
time.sleep_ms(1200)
print("alive")
time.sleep_ms(60000)
"""
    assert run(script, exit_code=65) == "alive\n"


def test_laptop_rtc_memory_outlives_resets_only(tmp_path: Path) -> None:
    """What is in RTC memory is there after any reset, and not after a power-on; 2048 bytes fit."""
    script = """
from device import power
before = power.load()
power.save(b"x" * 2048)
print(before, len(power.load()))
try:
    power.save(b"x" * 2049)
except ValueError as error:
    print(error)
power.save(b"kept")
"""
    for cause, before in (
        *(("power-on", b""), ("soft", b"kept"), ("hard", b"kept"), ("watchdog", b"kept")),
        *(("power-on", b""), ("watchdog", b"kept")),
    ):
        said = run(script, cwd=tmp_path, env={"LIMPET_RESET": cause})
        assert said == f"{before!r} 2048\nbuffer too long\n"


@pytest.mark.parametrize(
    ("setting", "value", "text"),
    [
        ("LIMPET_REPLAY", "none.jsonl", "LIMPET_REPLAY: none.jsonl cannot be opened"),
        ("LIMPET_REPLAY", str(HOST / "README.md"), "README.md, line 1: not a capture"),
        ("LIMPET_SPEED", "fast", "LIMPET_SPEED=fast is no number from 0.01 to 10000"),
        ("LIMPET_SPEED", "0", "LIMPET_SPEED=0 is no number"),
        ("LIMPET_SPEED", "nan", "LIMPET_SPEED=nan is no number"),
        ("LIMPET_RESET", "kick", "LIMPET_RESET=kick is none of"),
    ],
)
def test_bad_setting_ends_with_a_line_that_names_it(setting: str, value: str, text: str) -> None:
    """A setting that cannot be used is exit code 78 and one line, no traceback."""
    script = "import board; board.reset_cause(); board.sensors()[0].read()"
    said = run(script, env={setting: value}, exit_code=78)
    assert text in said
    assert said.count("\n") == 1


def test_capture_that_breaks_later_is_named_by_its_line() -> None:
    """A bad line in the middle of a capture ends the process when it is reached, by its number."""
    script = (
        WAIT
        + """
import board
with open("capture.jsonl", "w") as file:
    file.write('{"t": 0, "us": [20000]}\\n{"t": 2, "us": []}\\n')
(sensor,) = board.sensors()
for at in (1000, 3000):
    wait(at)
    try:
        sensor.read()
    except Exception as error:
        print(error)
"""
    )
    settings = {"LIMPET_SPEED": "100", "LIMPET_REPLAY": "capture.jsonl"}
    said = run(script, env=settings, exit_code=78)
    assert said == "no-response\nLIMPET_REPLAY: capture.jsonl, line 2: not a capture\n"


@pytest.mark.parametrize(
    ("setting", "cause"),
    [("power-on", "power-on"), ("hard", "hard"), ("watchdog", "watchdog"), ("soft", "soft")],
)
def test_reset_cause_is_what_the_start_was(setting: str, cause: str) -> None:
    """LIMPET_RESET comes back through the chip's constants as the word that the birth says."""
    assert run("import board; print(board.reset_cause())", env={"LIMPET_RESET": setting}) == (
        cause + "\n"
    )
