"""What a chip in download mode does when its ROM loader, or esptool's stub, is told to.

It does NOT run the stub's code: it answers as the stub once that is loaded whole.
"""

from __future__ import annotations

import struct
import zlib
from hashlib import md5
from typing import Any

from esptool.targets import CHIP_DEFS
from support.flashing.chip_flash import BLOCK, PAGE, ChipFlash

_SPI_START = 1 << 18


class Refused(Exception):
    """The command is answered by an error."""


class RomCommands(ChipFlash):
    """A chip whose commands are methods, each by its name in esptool with a `_` in front.

    `locks` are the eFuses that are burnt: "secure-boot", "encryption", "secure-download".
    `flash_id` is the third byte of the flash's id: the power of two that its size is.
    """

    def __init__(self, name: str, flash_mb: int, *locks: str) -> None:
        super().__init__(flash_mb << 20)
        self.rom: Any = CHIP_DEFS[name]
        self.flash_id = (flash_mb << 20).bit_length() - 1
        self._locks = locks
        self.power_on()

    def power_on(self) -> None:
        """Start again in the ROM: what was in RAM is gone."""
        self.stub = False
        self.baud = 115200
        self._memory: dict[str, int] | None = None
        self._write: _Write | None = None
        self._registers = self._efuses()

    def plug_in(self) -> None:
        """The cable is back, and the chip in download mode."""
        self.unplug_at = None
        self.power_on()

    def _efuses(self) -> dict[int, int]:
        rom, burnt = self.rom, {}
        if not rom.SECURITY_INFO_SUPPORTED:
            burnt[rom.CHIP_DETECT_MAGIC_REG_ADDR] = rom.MAGIC_VALUE
            if "secure-boot" in self._locks:
                burnt[rom.EFUSE_RD_ABS_DONE_REG] = rom.EFUSE_RD_ABS_DONE_0_MASK
        elif "secure-boot" in self._locks:
            burnt[rom.EFUSE_SECURE_BOOT_EN_REG] = rom.EFUSE_SECURE_BOOT_EN_MASK
        if "encryption" in self._locks:
            lowest = rom.EFUSE_SPI_BOOT_CRYPT_CNT_MASK & -rom.EFUSE_SPI_BOOT_CRYPT_CNT_MASK
            burnt[rom.EFUSE_SPI_BOOT_CRYPT_CNT_REG] = lowest
        return burnt

    # The commands: each gets its parameters and returns (value, data), or None for (0, nothing).

    def _sync(self, body: bytes) -> tuple[int, bytes]:
        return (0 if self.stub else 0x20120707), b""

    def _get_security_info(self, body: bytes) -> tuple[int, bytes]:
        if not self.rom.SECURITY_INFO_SUPPORTED:
            raise Refused
        flags = ("secure-boot" in self._locks) | ("secure-download" in self._locks) << 2
        crypt = int("encryption" in self._locks)
        return 0, struct.pack("<IB7xII", flags, crypt, self.rom.IMAGE_CHIP_ID, 0)

    def _read_reg(self, body: bytes) -> tuple[int, bytes]:
        if "secure-download" in self._locks:
            raise Refused
        return self._registers.get(struct.unpack("<I", body)[0], 0), b""

    def _write_reg(self, body: bytes) -> None:
        if "secure-download" in self._locks:
            raise Refused
        for address, value, mask, _ in struct.iter_unpack("<IIII", body):
            old = self._registers.get(address, 0)
            self._registers[address] = (old & ~mask) | (value & mask)
            if address == self.rom.SPI_REG_BASE and value & _SPI_START:
                self._spi()

    def _spi(self) -> None:
        """Carry out what the registers tell the flash."""
        base = self.rom.SPI_REG_BASE
        command = self._registers[base + self.rom.SPI_USR2_OFFS] & 0xFF
        self._registers[base] &= ~_SPI_START
        answers = {0x9F: self.flash_id << 16 | 0x4020, 0x5A: 0x50444653}
        self._registers[base + self.rom.SPI_W0_OFFS] = answers.get(command, 0)

    def _change_baudrate(self, body: bytes) -> None:
        self._only_stub()
        self.baud, before = struct.unpack("<II", body)
        self.expect(before == 115200, f"was not at {before} baud")

    def _mem_begin(self, body: bytes) -> None:
        self.expect(not self.stub, "the stub is loaded twice")
        size, blocks, _, _ = struct.unpack("<IIII", body)
        self._memory = {"left": size, "blocks": blocks, "next": 0}

    def _mem_data(self, body: bytes) -> None:
        size, number = struct.unpack("<II", body[:8])
        memory = self._memory or {}
        self.expect(memory.get("next") == number, "MEM_DATA out of order")
        self._memory = memory | {"left": memory.get("left", 0) - size, "next": number + 1}

    def _mem_end(self, body: bytes) -> None:
        memory = self._memory or {}
        whole = memory.get("left") == 0 and memory.get("next") == memory.get("blocks")
        self.expect(whole, "the stub is not whole")
        self.expect(struct.unpack("<II", body)[0] == 0, "the stub is not started")

    def _spi_set_params(self, body: bytes) -> None:
        size = struct.unpack("<IIIIII", body)[1]
        self.expect(size == len(self.flash), f"set to {size} bytes of flash")

    def _erase_region(self, body: bytes) -> None:
        self._only_stub()
        start, size = struct.unpack("<II", body)
        self.expect(not (start | size) % BLOCK, f"erases {size:#x} at {start:#x}")
        for address in range(start, start + size, BLOCK):
            self.erase(address)

    def _flash_begin(self, body: bytes) -> None:
        self._only_stub()
        size, blocks, _, start, _ = struct.unpack("<IIIII", body)
        self._write = _Write(start, size, blocks, None)
        self.expect(not start % BLOCK, f"writes at {start:#x}")
        self.expect(start + size <= len(self.flash), "writes beyond the flash")

    def _flash_defl_begin(self, body: bytes) -> None:
        self._flash_begin(body)
        assert self._write
        self._write.unpack = zlib.decompressobj()

    def _flash_data(self, body: bytes) -> None:
        write = self._write
        if not write:
            raise Refused
        size, number = struct.unpack("<II", body[:8])
        data = body[16:]
        self.expect(size == len(data), "FLASH_DATA has another length than it says")
        self.expect(number == write.number, f"FLASH_DATA {number} out of order")
        write.number += 1
        if write.unpack:
            data = write.unpack.decompress(data)
            self.expect(len(data) <= write.left, "unpacks to more than was begun")
        # Uncompressed, the last packet is padded, and the stub writes what it was told of.
        data = data[: write.left]
        while data:
            if not write.at % BLOCK:
                self.erase(write.at)
            page = data[: PAGE - write.at % PAGE]
            self.program(write.at, page)
            data = data[len(page) :]
            write.at += len(page)
            write.left -= len(page)

    _flash_defl_data = _flash_data

    def _flash_end(self, body: bytes) -> None:
        write = self._write
        self.expect(bool(write and not write.left), "the write is not whole")
        self.expect(bool(write and write.number == write.packets), "packets are missing")
        self.expect(struct.unpack("<I", body)[0] == 1, "the stub is left")
        self._write = None

    _flash_defl_end = _flash_end

    def _spi_flash_md5(self, body: bytes) -> tuple[int, bytes]:
        self._only_stub()
        start, size, _, _ = struct.unpack("<IIII", body)
        self.expect(start + size <= len(self.flash), "sums beyond the flash")
        found = self.flash[start : start + size]
        return 0, md5(found, usedforsecurity=False).digest()

    def _read_flash(self, body: bytes) -> None:
        self._only_stub()
        start, size, _, _ = struct.unpack("<IIII", body)
        self.expect(start + size <= len(self.flash), "reads beyond the flash")

    def _only_stub(self) -> None:
        if not self.stub:
            raise Refused


class _Write:
    """A transfer that was begun: where the next byte goes, and how many are to come."""

    def __init__(self, at: int, left: int, packets: int, unpack: Any) -> None:
        self.at = at
        self.left = left
        self.packets = packets
        self.number = 0
        self.unpack = unpack
