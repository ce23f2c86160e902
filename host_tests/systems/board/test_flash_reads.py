"""How often flash is read from power to `link up`, and for a Command. On a chip loading the code is
most of what the first takes.

Counted on the real littlefs of the virtual board, whose flash is as `limpet image` makes it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import archive, file_system
from limpet.boards.board_facts import facts
from limpet.boards.node_files import code_files, flash_files
from mpremote.transport_serial import SerialTransport
from support.brokers.running import RunningBroker
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]
BOOTS = 50  # the list of files of the folder that each boot writes to is made anew every seventh
BLOCKS = 512
AIR: dict[str, Any] = {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"}


def booted(board: VirtualBoard, said: str) -> int:
    """Give a board its power back, and wait until it says that. Returns how often it has read."""
    since, before = len(board.lines), board.reads()
    board.power_on()
    board.wait_for(said, since)
    return board.reads() - before


@pytest.mark.long
def test_reads_up_to_the_link_and_for_a_command(
    broker: RunningBroker, tmp_path: Path, virtual_board: Make
) -> None:
    """At most 3,000 up to `link up`, the asking for the time, in vain here, and the first Readings
    among them; and at most 900 for what answers the first Command. The same after 50 boots; 700
    more in the boot that takes other settings. Where each module is a file, four looks are taken
    for each, and there is no mount for loading, it is 47,000 to 90,000 and 6,000, and 12,000 more.

    Counted with 1 KB at a time, power to main.py are 400 reads, main.py, the mount for loading and
    the guard 300, the other 60 modules 600, the mount with which the node goes on 150, the time
    servers 350.
    """
    device = broker.image(tmp_path / "device", **AIR)
    board = virtual_board(blocks=BLOCKS)
    board.power_cut()
    board.fill(file_system.image(flash_files(facts("esp32_devkit"), device), BLOCKS)[0])
    counts: list[int] = []
    commands: list[int] = []
    for boot in range(BOOTS + 2):
        last = boot in (1, BOOTS + 1)
        counts.append(booted(board, " link up" if last else " wifi down"))
        if last:
            commands.append(reads_of(board, "import commands.processor, commands.ping"))
        board.power_cut()
    board.put({"/a/settings.json": b'{"v": 1, "version": 9, "interval_s": 77}'})
    counts.append(booted(board, " wifi down"))
    print(counts, commands)
    *usual, other = counts
    assert max(usual) <= 3_000
    assert other <= 3_700
    assert max(commands) <= 900


def reads_of(board: VirtualBoard, code: str) -> int:
    """How often a board reads its flash to run this."""
    transport = SerialTransport(board.port, timeout=60)
    try:
        transport.enter_raw_repl(soft_reset=False)
        before = board.reads()
        transport.exec(code)
        return board.reads() - before
    finally:
        transport.close()


def test_board_is_mounted_as_it_was_when_the_code_is_loaded(virtual_board: Make) -> None:
    """Ctrl-C in the middle of loading: whoever is at the console reads and writes as ever, 128
    bytes at a time.
    """
    made = flash_files(facts("esp32_devkit"), None)
    code = code_files(facts("esp32_devkit"))
    del code["app.mpy"]
    made |= {f"/a/{name}": data for name, data in archive.packed(code).items()}
    app = b"print('loads')\nimport time\nwhile True:\n    time.sleep(1)\n"
    identity = dict.fromkeys(("/identity.json", "/identity.bak"), b"{}")
    board = virtual_board(files=made | identity | {"/a/app.py": app, "/long": bytes(4000)})
    board.wait_for("loads")
    assert reads_of(board, "with open('/long', 'rb') as file:\n    file.read()") >= 4000 // 128
