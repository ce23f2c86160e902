"""First boot, whole: a board with code and no config, a client on its console, a real broker.

On the virtual board with a chip's `network`; and `limpet node` with a pipe for a console.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import improv
import pytest
from limpet.boards.board_facts import facts
from limpet.boards.node_files import flash_files
from limpet.identity import device_config
from limpet.identity.provision_line import provision_line
from limpet.identity.provisioning import Setup
from limpet.node_host.debian import HOST, available
from limpet.node_host.interpreter import micropython
from limpet.shared.paths import FIRMWARE, HOST_BOARD, LIB
from limpet.shared.problem import Problem
from mpremote.transport_serial import SerialTransport
from support.brokers.running import RunningBroker, fields
from support.nodes import NodeProcess, readings
from support.virtual_board.board import VirtualBoard
from support.virtual_board.improv_client import ImprovClient

Make = Callable[..., VirtualBoard]
WAITS = "config missing, waits for "
WIFI = improv.wifi_settings("beach", "shells-and-sand")
NO_ERROR = (improv.ERROR, b"\x00")
# Objects of the chip's size, and about what a chip has for them, beside what plays the chip.
SMALL: dict[str, Any] = {"arch": "i386", "heap": "256k"} if available("i386") else {"arch": HOST}


@pytest.fixture
def bare(virtual_board: Make) -> Callable[[], VirtualBoard]:
    """Make boards as `limpet image` leaves them when it is given no device."""
    return lambda: virtual_board(files=flash_files(facts("esp32_devkit"), None), **SMALL)


def line_for(broker: RunningBroker, folder: Path, **fields: Any) -> bytes:
    """Return the line of a device that is to use that broker."""
    return provision_line(broker.image(folder, **fields))


def secrets(line: bytes) -> list[str]:
    """Return what no log may show: the key, and the passwords."""
    key = json.loads(line)["key_der"]
    return ["shells-and-sand", *(key[at : at + 12] for at in range(40, len(key) - 12, 12))]


def said(board: VirtualBoard, wanted: str) -> int:
    """Return how often the board has said `wanted`."""
    return sum(wanted in line for line in board.lines)


def files(board: VirtualBoard) -> set[str]:
    """Return what is on its flash, but for the code."""
    return {name for name in board.files() if not name.startswith(("/a/", "/b/"))}


def set_clock(board: VirtualBoard) -> None:
    """Enter the way mpremote does, set the clock as `limpet deploy` would, and reset.

    A node in the field asks a time server.
    """
    repl = SerialTransport(board.port, timeout=60)
    repl.enter_raw_repl(soft_reset=False)
    repl.exec("import machine; machine.RTC().datetime((2026, 11, 20, 4, 12, 0, 0, 0))")
    repl.exec_raw_no_follow("machine.reset()")
    repl.close()


def test_board_without_config_becomes_a_node(
    bare: Callable[[], VirtualBoard], broker: RunningBroker, tmp_path: Path
) -> None:
    """mpremote gets in by Ctrl-C; Improv and one line later the board sends Readings, for good."""
    board = bare()
    board.wait_for(WAITS + "Wi-Fi by Improv, and for the rest as one line of JSON")
    set_clock(board)
    board.wait_for(WAITS, since=len(board.lines))
    before = files(board)
    line = line_for(broker, tmp_path / "device")
    with ImprovClient(board.port) as client:
        assert client.ask(improv.rpc(improv.CURRENT_STATE), 2) == [NO_ERROR, (1, b"\x02")]
        info = client.ask(improv.rpc(improv.DEVICE_INFO), 2)[1][1]
        assert improv.texts(improv.command(info)[1])[2:] == ["esp32", "esp32_devkit"]
        assert client.ask(WIFI, 4)[1:] == [(1, b"\x03"), (1, b"\x04"), (4, b"\x01\x00")]
        assert files(board) == before
        client.send(line)
        client.line("config kept, resets device=node-1")
        client.line("board=esp32_devkit device=node-1")
        client.line("link up")
        operator = broker.operator()
        operator.wait_for("limpet/home/desk/climate/node-1/telemetry", lambda _: True, 30)
        assert readings(operator)[0]["temperature"] == pytest.approx(24, abs=2)
        # The door is shut: what opened it before is now nobody's. Improv's packets hold a Ctrl-C,
        # which stops a node as it does at any console, so here is the line alone.
        count = len(client.lines)
        client.send(line)
        client.line("sampler reading", count)
        assert not client._packets
        assert not said(board, "refused")
    assert board.starts == ["power-on", "hard", "hard"]
    text = "\n".join(board.lines)
    assert not [secret for secret in secrets(line) if secret in text]
    kept = board.files()
    config = device_config.opened(kept["/identity.json"]) or {}
    assert (config["wifi_ssid"], config["wifi_password"]) == ("beach", "shells-and-sand")
    assert kept["/identity.bak"] == kept["/identity.json"]
    device = {name for name in files(board) - before if name.endswith((".der", ".json", ".bak"))}
    assert device_config.opened(kept["/a/settings.json"]) == {"v": 1, "version": 1}
    own = {"/identity.json", "/identity.bak"}
    assert device == own | {"/" + config[name] for name in ("ca", "cert", "key")}


def test_bad_lines_and_ctrl_c(
    bare: Callable[[], VirtualBoard], broker: RunningBroker, tmp_path: Path
) -> None:
    """What is bad is refused in words and nothing is kept; Ctrl-C in packets does not interrupt."""
    board = bare()
    board.wait_for(WAITS)
    before = files(board)
    line = line_for(broker, tmp_path / "device", wifi_ssid="beach")
    other = broker.authority.client("node-2")
    pair = line.replace(
        json.loads(line)["key_der"].encode(), json.dumps(_base64(other.key_der()))[1:-1].encode()
    )
    with ImprovClient(board.url) as client:
        for bad, words in (
            (line[:-30] + b"\n", "field=line rule=must be JSON"),
            (line.replace(b'"limpet"', b'"limqet"'), "field=crc32 rule=the line was damaged"),
            (b"x" * 9000 + b"\n", "field=line rule=must have at most 6144 bytes"),
            (_unsealed(pair), "field=key_der rule=is not of cert_der"),
            (_unsealed(line).replace(b'"node-1"', b'"node-2"'), "field=cert_der rule=is another"),
        ):
            client.send(bad)
            client.line("config refused " + words)
        # Nothing but 0x03, twice; and a packet that lost its second half.
        assert client.ask(improv.packet(improv.RPC, b"\x03\x00"), 2)[0] == NO_ERROR
        assert client.ask(improv.packet(improv.RPC, b"\x03" * 3), 1) == [(2, b"\x01")]
        client.send(WIFI[:20])
        assert not said(board, "KeyboardInterrupt")
        assert files(board) == before
        client.send(b"\r\x03")
        board.wait_for("KeyboardInterrupt")
        board.wait_for("MicroPython v")
    assert board.starts == ["power-on"]


def _base64(data: bytes) -> str:
    from base64 import b64encode

    return b64encode(data).decode()


def _unsealed(line: bytes) -> bytes:
    """Return the line as somebody would have written it by hand."""
    return line.partition(b',"crc32"')[0] + b"}\n"


def test_refused_config_keeps_the_door_shut(bare: Callable[[], VirtualBoard]) -> None:
    """An identity that is there is the identity, damaged, refused or without settings: the node
    says why it cannot run, and is deaf.
    """
    board = bare()
    board.wait_for(WAITS)
    board.power_cut()
    told = fields("node-1") | {"wifi_ssid": "beach"}
    whole = {f"/{name}": data for name, data in device_config.on_flash(told).items()}
    own = {"/a/settings.json": whole.pop("/a/settings.json")}
    damaged = dict.fromkeys(whole, b"#")
    for found, refusal in (
        (damaged | own, "identity rule=identity.json is damaged, and so is identity.bak"),
        ({"/identity.json": b'{"v": 1}'} | own, "device_id rule=is required"),
        (whole, "settings rule=settings.json cannot be read"),
    ):
        put_instead(board, found)
        count = len(board.lines)
        board.power_on()
        board.wait_for(f"config refused field={refusal}", since=count)
        board.wait_for("MicroPython v", since=count)
        assert not any(WAITS in line for line in board.lines[count:])
        board.power_cut()
    # And only its removal opens it again, also where there are settings.
    put_instead(board, own)
    count = len(board.lines)
    board.power_on()
    board.wait_for(WAITS, since=count)


def put_instead(board: VirtualBoard, found: dict[str, bytes]) -> None:
    """Have these of identity and settings on the flash, and no others."""
    for name in ("/identity.json", "/identity.bak", "/a/settings.json"):
        if name in board.files():
            board.remove(name)
    board.put(found)


def test_limpet_node_takes_the_line_from_a_pipe(
    setup: Setup, broker: RunningBroker, tmp_path: Path
) -> None:
    """`limpet provision --line` into `limpet node`: a node that is connected; the key on stdout
    alone, with a warning beside it.
    """
    (tmp_path / "flash").mkdir()
    folder = broker.image(tmp_path / "device")
    device_config.write(setup.layout.device("node-1"), device_config.read(folder))
    limpet = [sys.executable, "-c", "from limpet.cli import main; main()"]
    made = subprocess.run(
        [*limpet, "provision", "node-1", "--line", "--fleet", str(setup.layout.root)],
        capture_output=True,
        check=True,
    )
    assert made.stdout == provision_line(folder)
    assert b"node-1: the line holds its key" in made.stderr
    key = json.loads(made.stdout)["key_der"].encode()
    assert key not in made.stderr
    node = [*limpet, "node", "--root", str(tmp_path / "flash")]
    with subprocess.Popen(node, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        running.stdin.write(made.stdout)
        running.stdin.flush()
        log = b""
        while b"link up" not in log:
            log += running.stdout.readline()
        running.terminate()
        log += running.stdout.read()
    assert b"kept, resets" in log
    assert key not in log
    assert running.returncode == 0


def test_burst_is_collected_without_heap() -> None:
    """A chip's UART waits for nobody: a line is taken as it comes, and looked at afterwards."""
    script = """
import gc
from device.console import _collector
burst = bytearray(6400)
collect = _collector(burst)
collect(0)
gc.collect()
gc.disable()
print("ready")
before = gc.mem_alloc()
count = collect(30000)
print(gc.mem_alloc() - before, count, burst[:count] == b"x" * 4000 + b"\\r\\x03", collect(0))
"""
    path = ":".join(map(str, (FIRMWARE, LIB, HOST_BOARD)))
    with subprocess.Popen(
        [*micropython(), "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"MICROPYPATH": path},
    ) as running:
        assert running.stdin
        assert running.stdout
        assert running.stdout.readline() == b"ready\n"
        running.stdin.write(b"x" * 4000 + b"\r\x03rest")
        running.stdin.flush()
        heap, count, same, rest = running.stdout.readline().split()
    assert int(heap) < 200
    assert (count, same, rest) == (b"4002", b"True", b"4")


def test_nobody_at_the_console(tmp_path: Path) -> None:
    """A node whose stdin is closed says what it always said, and ends."""
    with NodeProcess(tmp_path) as node:
        assert node.wait(20) == 78
    assert node.lines[-1].endswith(
        "config refused field=identity rule=identity.json cannot be read"
    )
    assert len(node.lines) == 1


def test_line_that_no_node_takes_is_not_made(setup: Setup, tmp_path: Path) -> None:
    """A device without credentials has no line, nor has a folder that is no device's."""
    folder = RunningBroker(setup).image(
        tmp_path / "device", port=1883, ca=None, cert=None, key=None
    )
    with pytest.raises(Problem, match=r"would refuse .* as a line: ca_der"):
        provision_line(folder)
    device_config.write(folder, {"org": "x"})
    with pytest.raises(Problem, match="would be refused by the node"):
        provision_line(folder)
