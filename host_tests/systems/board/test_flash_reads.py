"""How often flash is read between power and the node's first step. On a chip loading the code is
most of what that time goes into.

Counted on the real littlefs of the virtual board, whose node has all its code in a slot.
"""

from __future__ import annotations

from collections.abc import Callable

from limpet.boards.board_facts import facts
from limpet.boards.node_files import flash_files
from limpet.identity import device_config
from limpet.identity.provisioning import Setup
from mpremote.transport_serial import SerialTransport
from support.brokers.running import fields
from support.virtual_board.board import VirtualBoard

Make = Callable[..., VirtualBoard]
BOOTS = 50  # the root's log is compacted every seventh


def files(setup: Setup) -> dict[str, bytes]:
    """A node's flash, for a broker without TLS that is not there."""
    setup.device(fields("node-1"))
    folder = setup.layout.device("node-1")
    made = flash_files(facts("esp32_devkit"), folder)
    plain = dict.fromkeys(("ca", "cert", "key"))
    wifi = {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"}
    own = device_config.on_flash(fields("node-1") | plain | wifi | {"interval_s": 3600})
    return made | {f"/{name}": data for name, data in own.items()}


def test_reads_from_power_to_the_first_step(setup: Setup, virtual_board: Make) -> None:
    """At most 6,800, however often it has booted; without the mount for loading, with four looks
    for each module, and with the chip's own modules looked for on flash, it is 47,000 to 90,000.

    Of a boot with 3,700 main.py's text, mounts and the guard cost 1,100, the other 60 modules 800,
    the room that is left for Readings 400, and the mount with which the node goes on 600. What the
    node rewrites lies in the root, whose log grows until littlefs compacts it, and each look for a
    file reads that. It is waited for Wi-Fi, as a busy machine cuts the power late: asking for the
    time, the first Reading and its way to flash, some 1,000, may be in it or not.
    """
    board = virtual_board(files=files(setup))
    counts: list[int] = []
    for _ in range(BOOTS):
        board.wait_for(" wifi up", len(board.lines) if counts else 0)
        board.power_cut()
        counts.append(board.reads() - sum(counts))
        board.power_on()
    print(counts)
    assert max(counts) <= 6_800


def test_reads_for_a_command(setup: Setup, virtual_board: Make) -> None:
    """What answers the first Command is loaded anew after each minute without one: at most 2,200
    reads, on a flash that has booted before. Without quick.py it is 6,000.
    """
    board = virtual_board(files=files(setup))
    for _ in range(6):
        board.wait_for(" wifi ", len(board.lines))
        board.power_cycle()
    board.wait_for(" wifi up", len(board.lines))
    transport = SerialTransport(board.port, timeout=60)
    try:
        transport.enter_raw_repl(soft_reset=False)
        before = board.reads()
        transport.exec("import commands.processor, commands.ping")
        reads = board.reads() - before
        print(reads)
        assert reads <= 2_400  # 1,900 to 2,230, by where in its log the root was written last
    finally:
        transport.close()


def test_board_is_mounted_as_it_was_when_the_code_is_loaded(
    setup: Setup, virtual_board: Make
) -> None:
    """Ctrl-C in the middle of loading: whoever is at the console reads and writes as ever, 128
    bytes at a time.
    """
    made = files(setup)
    del made["/a/app.mpy"]
    app = b"print('loads')\nimport time\nwhile True:\n    time.sleep(1)\n"
    board = virtual_board(files=made | {"/a/app.py": app, "/long": bytes(4000)})
    board.wait_for("loads")
    transport = SerialTransport(board.port, timeout=60)
    try:
        transport.enter_raw_repl(soft_reset=False)
        transport.exec("file = open('/long', 'rb')")
        before = board.reads()
        transport.exec("file.read()")
        assert board.reads() - before >= 4000 // 128
    finally:
        transport.close()
