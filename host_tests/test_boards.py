"""The Boards: the same names on each, no pin misused, and a laptop that is stricter than a chip."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from upy import REPO, run

BOARDS = sorted(path.parent for path in (REPO / "boards").glob("*/board.py"))
HOST = REPO / "boards/host"

# ESP32-WROOM-32 datasheet: pins wired to the flash, sampled at reset, without an output, missing.
FLASH = set(range(6, 12))
STRAPPING = {0, 2, 5, 12, 15}
INPUT_ONLY = set(range(34, 40))
SERIAL = {1, 3}
USABLE = set(range(40)) - FLASH - STRAPPING - INPUT_ONLY - SERIAL - {20, 24, 28, 29, 30, 31}

each_board = pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.name)


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
    # Imported for the board's own use: classes, constants and what sets the clock.
    inner = {"Sensor", "Wifi", "Clock", "Ntp", "set_rtc", "BAD_SETTING"}
    return {name: made for name, made in names.items() if name[0] != "_" and name not in inner}


def gpios(board: Path) -> dict[str, int]:
    """The pins that a board.py names."""
    return {
        name: ast.literal_eval(statement.value)
        for name, statement in offered(board).items()
        if name.endswith("_GPIO") and isinstance(statement, ast.Assign)
    }


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


@each_board
def test_board_offers_what_the_readme_says(board: Path) -> None:
    """No name is missing, and none is there that other Boards lack."""
    assert set(offered(board)) == documented()


@each_board
def test_board_functions_take_the_same_parameters(board: Path) -> None:
    """What a Board defines itself is called the same way on every Board."""

    def parameters(path: Path) -> dict[str, str]:
        made = offered(path).items()
        return {name: ast.unparse(f.args) for name, f in made if isinstance(f, ast.FunctionDef)}

    assert parameters(board) == parameters(HOST)


@each_board
def test_board_uses_no_pin_twice_and_none_that_is_taken(board: Path) -> None:
    """No GPIO is used twice or has another duty, and none is a bare number in the code."""
    pins = gpios(board)
    assert len(pins) >= 2
    assert len(set(pins.values())) == len(pins)
    assert set(pins.values()) <= USABLE
    bare = re.findall(r"(?:Pin|Sensor)\(\d+", (board / "board.py").read_text())
    assert not bare


@each_board
def test_board_knows_its_name_and_shows_its_wiring(board: Path) -> None:
    """NAME is the folder's, and a Board with hardware has each GPIO in its README."""
    name = offered(board)["NAME"]
    assert isinstance(name, ast.Assign)
    assert ast.literal_eval(name.value) == board.name
    if board != HOST:
        readme = (board / "README.md").read_text()
        assert all(f"GPIO{gpio} " in readme for gpio in gpios(board).values())


def test_import_of_the_devkit_touches_no_hardware() -> None:
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
print(board.NAME, board.network.step(0), board.network.cause, board.reset_cause())
print(all(0 <= board.random() < 1 for _ in range(1000)), board.heap_free() > 0)
"""
    said = run(script, path=[REPO / "boards/esp32_devkit"])
    assert said == "esp32_devkit False no-ssid watchdog\nTrue True\n"


@pytest.mark.parametrize("board", [path for path in BOARDS if path != HOST], ids=lambda p: p.name)
def test_manifest_freezes_what_is_there(board: Path) -> None:
    """A manifest freezes lib/, both packages, line and board atop the port's own; they exist."""
    frozen: list[str] = []

    def package(name: str, base_path: str) -> None:
        assert (board / base_path / name / "__init__.py").is_file()
        frozen.append(name)

    def freeze(path: str) -> None:
        assert (board / path).resolve() == REPO / "lib"
        frozen.append("lib")

    def module(path: str, base_path: str = ".") -> None:
        assert (board / base_path / path).is_file()
        frozen.append(path)

    names = {"include": frozen.append, "package": package, "freeze": freeze, "module": module}
    exec((board / "manifest.py").read_text(), names)  # noqa: S102 (a manifest is run, not imported)
    assert frozen == [
        "$(PORT_DIR)/boards/manifest.py",
        "lib",
        "node",
        "device",
        "line.py",
        "board.py",
    ]


# --- the laptop ---------------------------------------------------------------------------------

WAIT = """
import laptop
def wait(until):
    while laptop.clock.now() < until:
        pass
"""


def test_laptop_sensor_reads_through_the_board() -> None:
    """After its second of power-up the sensor gives the capture's first values, in tenths."""
    script = WAIT + "import board\nwait(1000)\nprint(board.sensor().read())\n"
    assert run(script, env={"LIMPET_SPEED": "100"}) == "(244, 464)\n"


def test_laptop_sensor_is_silent_when_asked_too_soon() -> None:
    """Within 2 s of the last request, answered or not, there is no answer and no value is spent."""
    script = (
        WAIT
        + """
import board
from node.errors import SensorError
sensor = board.sensor()
for at in (1000, 2000, 3500, 5600):
    wait(at)
    try:
        print(sensor.read())
    except SensorError as error:
        print(error.reason)
"""
    )
    said = run(script, env={"LIMPET_SPEED": "10"})
    assert said.splitlines() == ["(244, 464)", "no-response", "no-response", "(245, 464)"]


@pytest.mark.parametrize(("cause", "said"), [("power-on", "no-response"), ("hard", "(244, 464)")])
def test_laptop_sensor_needs_its_second_after_power_up(cause: str, said: str) -> None:
    """A freshly powered sensor is silent in its first second; a reset takes no power from it."""
    script = """
import board
from node.errors import SensorError
try:
    print(board.sensor().read())
except SensorError as error:
    print(error.reason)
"""
    assert run(script, env={"LIMPET_RESET": cause}).strip() == said


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
watchdog = board.watchdog(250)
for _ in range(6):
    time.sleep_ms(60)
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
watchdog = board.watchdog(1100)
time.sleep_ms(900)
print("alive")
time.sleep_ms(60000)
"""
    assert run(script, exit_code=65) == "alive\n"


def test_laptop_rtc_memory_outlives_resets_only(tmp_path: Path) -> None:
    """What is in RTC memory is there after any reset, and not after a power-on; 2048 bytes fit."""
    script = """
from device import rtc
before = rtc.load()
rtc.save(b"x" * 2048)
print(before, len(rtc.load()))
try:
    rtc.save(b"x" * 2049)
except ValueError as error:
    print(error)
rtc.save(b"kept")
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
    script = "import board; board.reset_cause(); board.sensor().read()"
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
sensor = board.sensor()
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
