"""How much heap the node takes, measured where objects have the ESP32's sizes: on 32 bits.

What is measured is the laptop's Board. What a chip's own drivers take besides is not in it.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from limpet.identity.provisioning import Setup
from limpet.node_host.bytecode import ROM, compiled
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import FIRMWARE, HOST_BOARD, LIB

MOUNT = """
import ffi, gc, os, sys, uctypes, vfs
size = os.stat(sys.argv[1])[6]
rom = uctypes.bytearray_at(ffi.open(None).func("p", "malloc", "L")(size), size)
open(sys.argv[1], "rb").readinto(rom)
vfs.mount(vfs.VfsRom(rom), "/rom")
"""
# As device/guard.py does it.
_RUN_S = 120
JOIN = """
from device import guard
rtc_state = guard.RtcState(b"", lambda data: None)
crashes = guard.Crashes("crash.bin", guard.flash.read, guard.flash.replace, rtc_state)
node = guard.built(rtc_state, crashes)
print(*sys.modules)
gc.collect()
print(gc.mem_alloc())
"""


def folders() -> tuple[Path, ...]:
    """The folders that a node on this machine is made of, the first one first on its path."""
    return (FIRMWARE, LIB, HOST_BOARD, umqtt_dir().resolve())


def joined() -> tuple[list[str], int]:
    """Return the names of the modules of a node that has just been joined, and its bytes of heap.

    Raises Problem where the 32-bit interpreter cannot be had.
    """
    with tempfile.TemporaryDirectory() as scratch:
        *_, modules, used = run(JOIN, provisioned(Path(scratch)))
    return modules.split(), int(used)


def provisioned(folder: Path) -> Path:
    """Return a device's folder, made below `folder`."""
    setup = Setup(folder / "dev", followers=())  # no broker reads it
    names = {"org": "limpet", "site": "home", "zone": "desk", "device_type": "climate"}
    setup.device({"device_id": "node-1", "broker": "127.0.0.1", **names})
    return setup.layout.device("node-1")


def run(script: str, flash: Path, *arguments: str) -> list[str]:
    """Return the lines that `script` prints on 32 bits, as byte code, in the folder `flash`."""
    command = micropython("i386")
    byte_code, rom = compiled(*folders())
    (flash / "script.py").write_text(MOUNT + script, "utf-8")
    done = subprocess.run(
        [*command, "-X", "heapsize=1m", "script.py", str(rom), *arguments],
        cwd=flash,
        env={**os.environ, "MICROPYPATH": ":".join(map(str, [*byte_code, ROM, ".frozen"]))},
        capture_output=True,
        text=True,
        check=True,
        timeout=_RUN_S,
    )
    return done.stdout.splitlines()
