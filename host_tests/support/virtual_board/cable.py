"""The tool's end of a virtual board: a pty behind a link that keeps its name, and a TCP port.

One tool at a time, at either. The thread that serves both also does all that happens inside the
board, so that nothing there needs a lock. More than 64 KB that nobody takes are not kept.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import tty
from collections.abc import Callable
from pathlib import Path
from threading import Condition, Thread
from typing import Any

TIMEOUT_S = 30.0
_HELD = 65536
_AGAIN_S = 0.01


class Cable:
    """`path` is the link, `tcp_port` the port; `heard` is called with what the
    tool sends, `again` after each round; where it is true, soon again."""

    def __init__(
        self, path: Path, heard: Callable[[bytes], None], again: Callable[[], bool]
    ) -> None:
        self.path = path
        self._heard = heard
        self._again = again
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._jobs: list[tuple[Callable[[], None], Condition, list[bool]]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.tcp_port = int(self._listener.getsockname()[1])
        self._master = self._slave = -1
        self._held = b""  # what the pty does not take yet
        self._client: socket.socket | None = None
        self._left = -1
        self.taken = 0  # bytes from the tool so far
        self._plugged = False
        self._open = True
        self.listen(woken, lambda: self._work(woken))
        self.listen(self._listener, self._accept)
        self.plug()
        self._thread = Thread(target=self._run, name="virtual-board", daemon=True)
        self._thread.start()

    def listen(self, what: Any, call: Callable[[], None]) -> None:
        """Call when there is something to read."""
        self._selector.register(what, selectors.EVENT_READ, call)

    def forget(self, what: Any) -> None:
        """No longer."""
        self._selector.unregister(what)

    def call(self, job: Callable[[], None]) -> None:
        """Have `job` done by the thread, and wait until it is."""
        done = Condition()
        state: list[bool] = []
        self._jobs.append((job, done, state))
        self._wake.send(b"!")
        with done:
            if not done.wait_for(lambda: state, TIMEOUT_S):
                raise TimeoutError("the virtual board's thread has ended")

    def send(self, data: bytes) -> None:
        """To the tool, if one is there."""
        if self._master >= 0:
            self._held = (self._held + data)[-_HELD:]
            with contextlib.suppress(BlockingIOError):
                self._held = self._held[os.write(self._master, self._held) :]
        if self._client:
            try:
                self._client.sendall(data)
            except OSError:
                self._drop()

    def plug(self) -> None:
        """Put it in."""
        if self._plugged:
            return
        self._plugged = True
        self._held = b""
        self._left = -1
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        link = self.path.with_name("port.new")
        link.symlink_to(os.ttyname(self._slave))
        link.rename(self.path)
        self.listen(self._master, self._from_pty)

    def unplug(self) -> None:
        """Pull it out."""
        if not self._plugged:
            return
        self._plugged = False
        self.forget(self._master)
        self.path.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1
        self._drop()

    def unplug_after(self, count: int) -> None:
        """After so many bytes from the tool."""
        self._left = count

    def close(self) -> None:
        """For good."""
        self.call(self._close)
        self._thread.join()

    def _close(self) -> None:
        self.unplug()
        self._listener.close()
        self._open = False

    def _run(self) -> None:
        busy = False
        while self._open:
            for key, _ in self._selector.select(_AGAIN_S if busy else None):
                # One that an earlier one of this round has ended is not called.
                if self._selector.get_map().get(key.fd) is key:
                    key.data()
            self.send(b"")
            busy = self._again() or bool(self._held)
        self._selector.close()
        self._wake.close()

    def _work(self, woken: socket.socket) -> None:
        woken.recv(1)
        job, done, state = self._jobs.pop(0)
        try:
            job()
        finally:
            with done:
                state.append(True)
                done.notify_all()
        if not self._open:
            woken.close()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not self._plugged:
            client.close()
            return
        self._drop()
        self._client = client
        self.listen(client, self._from_tcp)

    def _drop(self) -> None:
        if self._client:
            self.forget(self._client)
            self._client.close()
            self._client = None

    def _from_pty(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._pass_on(os.read(self._master, 4096))

    def _from_tcp(self) -> None:
        assert self._client
        try:
            data = self._client.recv(4096)
        except OSError:
            data = b""
        if data:
            self._pass_on(data)
        else:
            self._drop()

    def _pass_on(self, data: bytes) -> None:
        self.taken += len(data)
        if 0 <= self._left <= len(data):
            data = data[: self._left]
            self._heard(data)
            self.unplug()
            return
        if self._left > 0:
            self._left -= len(data)
        self._heard(data)
