"""A line with a length, under TCP itself: two network namespaces, and packets passed on late.

    unshare -rn python line.py '["mosquitto"]' 50 command ...    runs `command` at its near end

A wire of bytes (limpet.trial.wire) ends TCP on this machine: whoever writes a packet in pieces is
spared what he waits for on a real line, the ACK of the first. Here TCP goes all the way. At the far
end is a mosquitto that lets everybody in, on ADDRESS and PORT; no packet leaves the machine.

It is a program of its own because who enters a namespace does not come back. Linux only.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

ADDRESS, PORT = "10.9.0.2", 1883
_NEAR = "10.9.0.1"
# linux/if_tun.h: a device of IP packets, without a header before each.
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_PACKET = 65536
_UP_S = 20
_COMMAND_S = 100  # less than whoever starts it waits, so that it ends what it has started


def under(broker: list[str], ms: int) -> tuple[str, ...] | None:
    """The start of a command line that runs the rest at the near end of a line, each way of which
    takes `ms`; None where this machine has no such thing.
    """
    unshare, ip = (shutil.which(each, path=_path()) for each in ("unshare", "ip"))
    if not unshare or not ip:
        return None
    tried = subprocess.run(
        [unshare, "-rn", ip, "tuntap", "add", "dev", "t0", "mode", "tun"],
        capture_output=True,
        timeout=_UP_S,
    )
    if tried.returncode or not os.path.exists("/dev/net/tun"):
        return None
    return unshare, "-rn", sys.executable, __file__, json.dumps(broker), str(ms)


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def _device(address: str) -> int:
    """Make this namespace's end, and return what its packets are read from and written to."""
    import fcntl

    found = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(found, _TUNSETIFF, struct.pack("16sH", b"line", _IFF_TUN | _IFF_NO_PI))
    for words in ("link set lo up", f"addr add {address}/30 dev line", "link set line up"):
        subprocess.run(["ip", *words.split()], check=True, timeout=_UP_S)
    return found


def _pass_on(source: int, target: int, delay_s: float) -> None:
    """Each packet `delay_s` later, for as long as the program runs."""
    waiting: deque[tuple[float, bytes]] = deque()
    while True:
        timeout = max(waiting[0][0] - time.monotonic(), 0) if waiting else None
        if select.select([source], [], [], timeout)[0]:
            waiting.append((time.monotonic() + delay_s, os.read(source, _PACKET)))
        while waiting and waiting[0][0] <= time.monotonic():
            os.write(target, waiting.popleft()[1])


def _far_end(broker: list[str], number: int) -> None:
    """The broker, until the other side closes the socket of this number."""
    with socket.socket(fileno=number) as near, tempfile.TemporaryDirectory() as folder:
        device = _device(ADDRESS)
        socket.send_fds(near, [b"here"], [device])
        conf = Path(folder) / "open.conf"
        # It has no other user to become in a namespace, and nothing to write.
        conf.write_text(
            f"listener {PORT} {ADDRESS}\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n"
        )
        with subprocess.Popen([*broker, "-c", str(conf)], stderr=subprocess.DEVNULL) as running:
            near.recv(1)
            running.kill()


def main() -> int:
    """Set it up, and run the command; its exit code."""
    os.environ["PATH"] = _path()
    if sys.argv[1] == "far":
        _far_end(json.loads(sys.argv[2]), int(sys.argv[3]))
        return 0
    broker, ms, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    near, far = socket.socketpair()
    line = ["unshare", "-n", sys.executable, __file__, "far", broker, str(far.fileno())]
    with subprocess.Popen(line, pass_fds=[far.fileno()]) as other, near:
        far.close()
        _, [theirs], *_ = socket.recv_fds(near, 16, 1)
        ours = _device(_NEAR)
        for ends in ((ours, theirs), (theirs, ours)):
            passing = (*ends, int(ms) / 1000)
            threading.Thread(target=_pass_on, args=passing, daemon=True).start()
        until = time.monotonic() + _UP_S
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                socket.create_connection((ADDRESS, PORT), 5).close()
                break
            time.sleep(0.1)
        code = subprocess.run(command, timeout=_COMMAND_S).returncode
        near.send(b".")
        other.wait(10)
    return code


if __name__ == "__main__":
    sys.exit(main())
