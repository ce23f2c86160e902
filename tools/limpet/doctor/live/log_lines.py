"""A broker's log, read as it grows: who was refused, and who has logged in.

The lines are those of mosquitto 2.0 and 2.1, of RabbitMQ 3.10 and 4.0, and of NATS, as their
configurations by `limpet broker-config` have them; those of others say nothing here.
"""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from limpet.doctor.figures import Refusal
from limpet.operating.inbox import Inbox
from limpet.shared.plain import safe
from limpet.shared.problem import Problem

# Of a look: a log that grows faster is read on in the next one, and the rest of a longer line is
# left out.
_CHUNK = 1_048_576
_LINE = 2_000

_TLS = "its certificate or its TLS is refused: {}"
_PATTERNS = (
    # mosquitto
    (r"Client (?P<who>\S+)(?: \[\S+\])? disconnected(?:,|:) (?P<why>not authori[sz]ed)", "{}"),
    (r"Client connection from (?P<who>\S+) failed: (?:error:\w+:[\w ]*::?)?(?P<why>.+)", _TLS),
    (r"OpenSSL Error\[\d+\]: error:\w+:SSL routines:[\w ]*:(?P<why>.+)", _TLS),
    # RabbitMQ
    (r"MQTT connection failed: access refused for user '(?P<who>[^']+)'.*- (?P<why>.+)", "{}"),
    (r"MQTT login failed for (?:user )?['\"]?(?P<who>[^'\", ]+)['\"]?(?P<why>)", "login failed"),
    (r"TLS server: .*SERVER ALERT: Fatal - (?P<why>.+)", _TLS),
    # NATS
    (r'mid:\d+ - "(?P<who>[^"]+)" - (?P<why>authentication error)$', "{}"),
    (r"(?P<who>\S+) - mid:\d+ - TLS handshake error: (?P<why>.+)", _TLS),
)
_REFUSED = [(re.compile(pattern), words) for pattern, words in _PATTERNS]
_LOGIN = re.compile(r"New client connected from \S+ as (?P<who>\S+) \(")


class Login(NamedTuple):
    """Somebody who was let in, by its client id."""

    who: str


def parse(line: str) -> Refusal | Login | None:
    """Return what a line of a log says; None: nothing of that. Pure."""
    line = line.rstrip()[:_LINE]
    if found := _LOGIN.search(line):
        return Login(safe(found["who"])[:80])
    for pattern, words in _REFUSED:
        if found := pattern.search(line):
            groups = found.groupdict()
            why = words.format(groups["why"].strip().rstrip("."))
            return Refusal(safe(groups.get("who") or "")[:80], safe(why)[:200])
    return None


class Tail:
    """What is appended to the file `path` from now on; it may come later, be moved away, and begin
    anew. `-` is standard input. Raises Problem where it is a folder or may not be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""
        self._piped: Inbox[str] | None = None
        if str(path) == "-":
            self._piped = Inbox()
            threading.Thread(target=self._pipe, name="log", daemon=True).start()
        elif path.exists():
            self._open()
            assert self._file
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> Iterator[str]:
        """Yield the lines that have come since it was last asked."""
        if self._piped:
            while (line := self._piped.get(0)) is not None:
                yield line
            return
        for data in self._new():
            *lines, rest = (self._rest + data).split(b"\n")
            self._rest = rest[:_LINE]
            yield from (line.decode("utf-8", "replace") for line in lines)

    def close(self) -> None:
        """Close the file. Twice does no harm."""
        if self._file:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        try:
            self._file = open(self._path, "rb")  # noqa: SIM115 - for as long as it is followed
        except OSError as error:
            raise Problem(f"{self._path}: {error.strerror}.", "Name the broker's log.") from None

    def _new(self) -> Iterator[bytes]:
        if self._file:
            if os.fstat(self._file.fileno()).st_size < self._file.tell():
                self._file.seek(0)  # emptied
            yield self._file.read(_CHUNK)
        if self._moved():
            if self._file:
                yield self._file.read(_CHUNK)
            self.close()
            self._rest = b""
            with contextlib.suppress(Problem):  # between two files, or one that is not ours now
                self._open()
        if self._file:
            yield self._file.read(_CHUNK)

    def _moved(self) -> bool:
        """Whether there is another file by that name."""
        try:
            now = os.stat(self._path)
        except OSError:
            return False
        return self._file is None or not os.path.samestat(now, os.fstat(self._file.fileno()))

    def _pipe(self) -> None:
        assert self._piped
        while line := sys.stdin.readline(_LINE):
            self._piped.put(line)
