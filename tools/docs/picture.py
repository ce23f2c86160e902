"""Draws docs/images/live.svg: the live view of `limpet run`, with the network away in between.

    .venv/bin/python tools/docs/picture.py

It is a recording of the real thing: the node, the broker and the view are those of `limpet run`.
The figures are other ones each time, so it is made by hand, when the view has changed.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path

from limpet.brokers.embedded.broker import LOOPBACK
from limpet.running import run as limpet_run
from limpet.running.scene import Scene
from limpet.running.view import LiveView
from limpet.shared.paths import REPO
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

PICTURE = REPO / "docs" / "images" / "live.svg"
COLUMNS = 92
# Seconds from the node's start: when the network goes, and when it is back.
GONE_S, BACK_S = 8.0, 18.0
# Seconds from when all has arrived that had waited, to the picture; and the longest run there is.
TAKEN_S, LIMIT_S = 5.0, 90.0
# The fonts that rich names come from a server on the internet; a reader's own will do.
FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)


class Recorded(LiveView):
    """The live view, drawn into a picture instead of onto a terminal."""

    def __init__(self, device_id: str) -> None:
        super().__init__(device_id, f"limpet send {device_id} read_now")
        self._console = Console(
            record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False
        )
        self.drawn = False
        self._whole_at: float | None = None

    def open(self) -> None:
        """There is no terminal to draw on."""

    def close(self) -> None:
        """Nothing to take down."""

    def say(self, text: str) -> None:
        """Print what stands above the log, in the words of somebody who has installed limpet."""
        if not self.drawn:
            super().say(re.sub(r"try .*", f"try      {self._hint}   in another terminal", text))

    def refresh(self, scene: Scene, since: float) -> None:
        """When all has arrived again, draw the footer, and write the picture."""
        if not scene.losses or scene.waiting or self.drawn:
            self._whole_at = None
            return
        if self._whole_at is None:
            self._whole_at = since
        if since - self._whole_at >= TAKEN_S:
            self.drawn = True
            self._console.print(self._footer(scene, since))
            PICTURE.write_text(
                self._console.export_svg(
                    title="limpet run", theme=MONOKAI, code_format=FORMAT, unique_id="live"
                )
            )
            os.kill(os.getpid(), signal.SIGINT)  # as Ctrl-C: the node says goodbye


class Way:
    """A TCP way from `port` to `target` (ports on loopback) that can be closed and opened."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []
        threading.Thread(target=self._interrupt, daemon=True).start()
        self._open()

    def _open(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _interrupt(self) -> None:
        time.sleep(GONE_S)
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        time.sleep(BACK_S - GONE_S)
        self._listener = socket.create_server((LOOPBACK, self.port))
        self._open()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((LOOPBACK, self._target))
                self._ends += [near, far]
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


def main() -> None:
    """Run the node until the picture is there, and write the picture."""
    point_to = limpet_run._point_to
    limpet_run._point_to = lambda root, port: point_to(root, Way(port).port)
    limpet_run.view_for = lambda device_id, hint: Recorded(device_id)
    with tempfile.TemporaryDirectory() as folder:
        limpet_run.RUN = Path(folder)
        limpet_run.run(seconds=LIMIT_S, page=False)
    print(f"limpet: {PICTURE.relative_to(REPO)}")


if __name__ == "__main__":
    main()
