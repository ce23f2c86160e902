"""A board on the laptop: what a tool finds at `port` (a pty) or `url` (socket://) is a MicroPython
with a flash of its own, a raw REPL, resets, boot.py and main.py. The chip is esp32/chip.py.

Stricter than a real one: the flash file is written through, so a cut finds whatever was programmed;
a power cut tears the operation it meets. Kinder: code and files on flash take no time, and nothing
that is sent to a chip that is busy gets lost.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import Any

import pytest
from limpet.node_host.debian import HOST
from limpet.node_host.interpreter import micropython
from support.virtual_board.cable import Cable
from support.virtual_board.flash import Flash
from support.virtual_board.rom import DNS, ESP32, rom
from support.virtual_board.said import Said

TIMEOUT_S = 60.0
AIR = "beach\tshells-and-sand\nopen\t"  # access points, each with its password
_RESETS = {64: "hard", 65: "watchdog", 66: "soft"}
_POWER_CUT = 67
_BUSY_S = 0.6  # of CPU time; a boot takes less from one system call that waits to the next
_TICKS = os.sysconf("SC_CLK_TCK")


class VirtualBoard:
    """One board, with its files in `folder`. `with VirtualBoard(folder) as board:` gives it power.

    chip: as `sys.implementation` says it. blocks: of flash for files. files: what is on them, by
    absolute path; None for a flash as it comes from the factory. release: of MicroPython, if it is
    to say another ("1.22.0"). umqtt: whether that has it. haste: by how much sooner than asked for
    its watchdog bites.
    """

    def __init__(
        self,
        folder: Path,
        *,
        chip: str = "ESP32",
        blocks: int = 512,
        files: dict[str, bytes] | None = None,
        arch: str = HOST,
        heap: str | None = None,
        air: str = AIR,
        release: str = "",
        umqtt: bool = True,
        haste: int = 1,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._rtc = folder / "rtc"
        self._flash = Flash(folder / "flash.img", blocks)
        self.counters, self.files = self._flash.counters, self._flash.files
        self.reads, self.folders = self._flash.reads, self._flash.folders
        self.put, self.remove = self._flash.put, self._flash.remove
        self.fill = self._flash.fill
        if files is not None:
            self.put(files)
        self._command = [
            *micropython(arch),
            *(["-X", f"heapsize={heap}"] if heap else []),
            str(ESP32 / "chip.py"),
        ]
        self._env = {
            "PATH": os.environ.get("PATH", ""),
            "LIMPET_DNS": DNS,
            "LIMPET_ROM": str(rom()),
            "VIRTUAL_AIR": air,
            "VIRTUAL_CHIP": chip,
            "VIRTUAL_FLASH": str(self._flash.path),
            "VIRTUAL_HASTE": str(haste),
            "VIRTUAL_RELEASE": release,
            "VIRTUAL_RTC": str(self._rtc),
            "VIRTUAL_UMQTT": "yes" if umqtt else "no",
        }
        self.lines: list[str] = []
        self.starts: list[str] = []
        self.died: int | None = None
        self._changed = Condition()
        self._cable = Cable(folder / "port", self._heard, self._again)
        self._process: subprocess.Popen[bytes] | None = None
        self._said = Said()
        self._early_at: float | None = None  # CPU time of the interpreter when Ctrl-C came
        self._early = b""  # what came from a Ctrl-C on, before it was known what that does
        self._line = b""
        self._cut_at = 0

    @property
    def port(self) -> str:
        """Where a tool finds it as a serial port; the same after it was unplugged."""
        return str(self._cable.path)

    @property
    def url(self) -> str:
        """Where a tool finds it over the network."""
        return f"socket://127.0.0.1:{self._cable.tcp_port}"

    # -- power -------------------------------------------------------------------------------------

    def power_on(self, cut_at: int = 0) -> VirtualBoard:
        """Give it power, and with it its port; `cut_at`: see cut_after."""
        self._cut_at = cut_at
        self._rtc.write_bytes(b"")
        self.died = None
        self.plug()
        self._cable.call(lambda: self._start("power-on"))
        return self

    def power_cut(self) -> None:
        """Take the power away, and with it the port, as with any board that lives on USB."""
        self._cable.call(self._stop)

    def power_cycle(self) -> None:
        """Take the power away and give it back."""
        self.power_cut()
        self.power_on()

    def cut_after(self, operations: int) -> None:
        """Let the power go when so many more programs and erases are done, from a start now on."""
        self.power_cut()
        self.power_on(sum(self.counters()) + operations + 1)

    @property
    def powered(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    # -- the cable ---------------------------------------------------------------------------------

    @property
    def taken(self) -> int:
        """How many bytes a tool has sent so far."""
        return self._cable.taken

    def unplug_after(self, count: int) -> None:
        """Pull the cable when the tool has sent `count` more bytes. The board keeps its power."""
        self._cable.call(lambda: self._cable.unplug_after(count))

    def unplug(self) -> None:
        """Pull the cable."""
        self._cable.call(self._cable.unplug)

    def plug(self) -> None:
        """Put the cable back."""
        self._cable.call(self._cable.plug)

    def press(self, keys: bytes) -> bool:
        """Give it bytes that no tool has sent. Returns False, for use in a condition."""
        self._cable.call(lambda: self._heard(keys))
        return False

    # -- what it says --------------------------------------------------------------------

    def wait_for(self, wanted: str, since: int = 0, timeout_s: float = TIMEOUT_S) -> str:
        """Wait for a line that holds `wanted`, from line `since` on, and return it."""
        deadline = monotonic() + timeout_s
        with self._changed:
            while True:
                while since < len(self.lines):
                    since += 1
                    if wanted in self.lines[since - 1]:
                        return self.lines[since - 1]
                left_s = deadline - monotonic()
                if left_s <= 0 or self.died is not None:
                    break
                self._changed.wait(left_s)
        how = f"for {timeout_s:g} s" if self.died is None else f"before it died ({self.died})"
        raise TimeoutError(f"no line {wanted!r} {how}:\n" + "\n".join(self.lines[-40:]))

    def wait(self, fits: Callable[[], Any], timeout_s: float = TIMEOUT_S) -> None:
        """Wait until `fits()`, which is tried when the board says a line, starts or ends."""
        with self._changed:
            if not self._changed.wait_for(fits, timeout_s):
                raise TimeoutError("\n".join(self.lines[-40:]))

    # -- inside, on the cable's thread -------------------------------------------------------------

    def _start(self, cause: str) -> None:
        env = {**self._env, "LIMPET_RESET": cause}
        env["VIRTUAL_CUT"] = str(self._cut_at)
        if cause == "soft" and self._said.raw:
            env["VIRTUAL_RAW"] = "1"
        self._said = Said()
        self._early, self._early_at = b"", None
        self._process = subprocess.Popen(
            self._command,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdin
        os.set_blocking(self._process.stdin.fileno(), False)
        self._cable.listen(self._process.stdout, self._from_chip)
        with self._changed:
            self.starts.append(cause)
            self._changed.notify_all()

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._ended(restart=False)
        self._cable.unplug()

    def _from_chip(self) -> None:
        assert self._process
        assert self._process.stdout
        data = os.read(self._process.stdout.fileno(), 65536)
        if not data:
            self._ended(restart=True)
            return
        text = self._said.heard(data)
        self._cable.send(text)
        *lines, self._line = (self._line + text).split(b"\n")
        if lines:
            with self._changed:
                self.lines += [line.rstrip(b"\r").decode(errors="replace") for line in lines]
                self._changed.notify_all()

    def _ended(self, restart: bool) -> None:
        assert self._process
        process, self._process = self._process, None
        self._cable.forget(process.stdout)
        code = process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()
        if restart and code in _RESETS:
            self._start(_RESETS[code])
            return
        if code == _POWER_CUT:
            self._cable.unplug()
        elif restart:
            self.died = code
        with self._changed:
            self._changed.notify_all()

    def _heard(self, data: bytes) -> None:
        """Bytes from the tool. What Ctrl-C does is decided when it arrives, as on the chip."""
        while data and not self._early:
            before, ctrl_c, data = data.partition(b"\x03")
            self._type(before)
            if ctrl_c and self._said.interrupts and self._safe():
                self._early_at = None
                if self._process:
                    self._process.send_signal(signal.SIGINT)
            elif ctrl_c and self._said.reads and not self._said.interrupts:
                self._type(ctrl_c)
            else:
                # Nothing that it could end has begun, or it cannot be ended right now.
                self._early = ctrl_c
        self._early += data

    def _safe(self) -> bool:
        """Whether the interpreter bears SIGINT now. The unix port raises from within the signal's
        handler, in the middle of anything: out of garbage collection that leaves the heap locked.
        So it may come to a system call first; a loop that makes none is interrupted all the same.
        """
        if not self._process:
            return True
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return True  # no Linux
        used_s = (int(stat[11]) + int(stat[12])) / _TICKS
        if self._early_at is None:
            self._early_at = used_s
        return stat[0] == "S" or used_s - self._early_at > _BUSY_S

    def _again(self) -> bool:
        """Try again with what came too early; whether some of it is left."""
        if self._early and (self._said.interrupts or self._said.reads):
            early, self._early = self._early, b""
            self._heard(early)
            return bool(self._early)
        return False

    def _type(self, data: bytes) -> None:
        if self._process and self._process.stdin and data:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._process.stdin.write(data)

    def __enter__(self) -> VirtualBoard:
        return self.power_on()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it, and give back what it holds."""
        self.power_cut()
        self._cable.close()


@pytest.fixture
def virtual_board(tmp_path: Path) -> Iterator[Callable[..., VirtualBoard]]:
    """Make virtual boards, powered, each in a folder of its own; end them."""
    made: list[VirtualBoard] = []

    def make(**how: Any) -> VirtualBoard:
        made.append(VirtualBoard(tmp_path / f"board-{len(made)}", **how))
        return made[-1].power_on()

    yield make
    for each in made:
        each.close()
