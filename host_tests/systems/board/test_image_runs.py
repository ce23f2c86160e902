"""A node runs from what `limpet image` made: the bytes of flash.bin, in the flash of a board."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import image
from limpet.boards.board_facts import BLOCK, facts
from limpet.boards.micropython_image import opened
from limpet.deploying.remote import Remote
from support.brokers.running import RunningBroker
from support.flashing import micropython_images as images
from support.nodes import readings, wait_for_readings, wait_for_status
from support.virtual_board.board import VirtualBoard

SET_CLOCK = "import machine; machine.RTC().datetime(%s); machine.reset()"
AIR: dict[str, Any] = {"wifi_ssid": "beach", "wifi_password": "shells-and-sand"}


@pytest.mark.parametrize(
    ("name", "flash_mb"), [("esp32_devkit", 4), ("esp32s3_devkitc", 8), ("esp32c3_devkitm", 16)]
)
def test_node_runs_from_its_image(
    broker: RunningBroker, tmp_path: Path, name: str, flash_mb: int
) -> None:
    """With each size of flash the node starts, joins Wi-Fi, connects over TLS and delivers Readings
    that it has stored on that very file system.
    """
    board = facts(name, flash_mb)
    (tmp_path / "downloaded.bin").write_bytes(images.image(board))
    device = broker.image(tmp_path / "device", **AIR, interval_s=2, commit_after_s=0)
    micropython = opened(tmp_path / "downloaded.bin", board)
    made = image.build(board, device, micropython, tmp_path / "image")
    files = (made.folder / "flash.bin").read_bytes()[board.files_offset :]
    operator = broker.operator()
    virtual = VirtualBoard(tmp_path / "board", chip=board.chip.upper(), blocks=board.files_blocks)
    virtual.fill(files)
    with virtual:
        assert f" board={name} device=node-1" in virtual.wait_for(" node boot=")
        set_clock(virtual)
        wait_for_status(operator, lambda said: said["status"] == "online")
        # By the second one the first is on flash: it is sent, and then committed.
        wait_for_readings(operator, 1)
        assert all(abs(each["ts"] - time.time()) < 60 for each in readings(operator))
        virtual.power_cut()
    assert len(files) == board.files_blocks * BLOCK
    assert any(path.startswith("/readings") for path in virtual.files())


def set_clock(board: VirtualBoard) -> None:
    """Do what `limpet deploy` does: the chip's clock is set, and the chip reset."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime()
    now = (year, month, day, weekday, hour, minute, second, 0)
    with Remote(board.port) as remote:
        remote.start(SET_CLOCK % (now,))


def test_image_for_nobody_waits_for_being_provisioned(tmp_path: Path) -> None:
    """Without a device there is no config: the node says so on its console, and stays there."""
    board = facts("esp32c3_devkitm")
    made = image.build(board, None, None, tmp_path / "image")
    virtual = VirtualBoard(tmp_path / "board", chip="ESP32C3", blocks=board.files_blocks)
    virtual.fill((made.folder / image.FILES).read_bytes())
    with virtual:
        virtual.wait_for(" config missing, waits for Wi-Fi by Improv")
        assert virtual.powered
