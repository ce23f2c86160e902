"""Scripts for asyncio that run under MicroPython and under this CPython, for the client of both."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Self

import pytest
from limpet.node_host.interpreter import micropython
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CLIENTS, LIB
from support.micropython.upy import OWN_TIME, TIMEOUT_S

PYTHONS = ("micropython", "cpython")

# What is named differently, and a context by DER files in the working folder.
_HEAD = """
import asyncio, os, sys, time
from random import random

if sys.implementation.name == "micropython":
    from mqtt_async import Client
    from tls_context import tls_context
    sleep_ms, ticks_ms, ticks_diff = asyncio.sleep_ms, time.ticks_ms, time.ticks_diff
else:
    from mqtt_cpython import Client
    import ssl
    from ssl import DER_cert_to_PEM_cert as pem

    def tls_context(ca, cert=None, key=None):
        made = ssl.create_default_context(cadata=ca)
        if cert:
            from cryptography.hazmat.primitives import serialization as forms
            loaded = forms.load_der_private_key(key, None)
            text = loaded.private_bytes(
                forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption()).decode()
            with open("both.pem", "w") as file:
                file.write(pem(cert) + text)
            made.load_cert_chain("both.pem")
        return made

    def sleep_ms(ms): return asyncio.sleep(ms / 1000)
    def ticks_ms(): return time.monotonic_ns() // 1000000
    def ticks_diff(a, b): return a - b

from backoff import Backoff

def der(name):
    with open(name + ".der", "rb") as file:
        return file.read()

def soon():
    return Backoff(random, first_ms=20, cap_ms=200)

def say(*words):
    print(*words)
    if sys.implementation.name != "micropython":
        sys.stdout.flush()

"""


class Talk:
    """A script that runs, and what it has said so far. `with Talk(...) as talk:` ends it."""

    def __init__(
        self,
        python: str,
        script: str,
        folder: Path,
        *,
        own_time: bool = False,
    ) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()
        path: Sequence[Path] = [CLIENTS, LIB]
        if python == "micropython":
            command = micropython()
            first = [OWN_TIME] if own_time else []
            path = [*first, *path, umqtt_dir()]
        else:
            command = [sys.executable]
        joined = ":".join(map(str, path))
        self._process = subprocess.Popen(
            [*command, "-c", _HEAD + script + "\nasyncio.run(main())\n"],
            cwd=folder,
            env={
                "PATH": os.environ.get("PATH", ""),
                "PYTHONPATH": joined,
                "MICROPYPATH": f"{joined}:.frozen",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    def until(self, said: str, times: int = 1) -> None:
        """Wait until it has said that line so many times; fail where it ends or hangs before."""
        deadline = monotonic() + TIMEOUT_S
        with self._changed:
            while self.lines.count(said) < times:
                left = deadline - monotonic()
                if left <= 0 or (self._process.poll() is not None and not self._reading.is_alive()):
                    pytest.fail(f"it never says {said!r}:\n" + "\n".join(self.lines), pytrace=False)
                self._changed.wait(min(left, 0.2))

    def end(self, timeout_s: float = TIMEOUT_S) -> list[str]:
        """Wait for its end; return all that it has said."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pytest.fail("it hangs after\n" + "\n".join(self.lines), pytrace=False)
        self._reading.join()
        if code:
            pytest.fail(f"it ended with {code}\n" + "\n".join(self.lines), pytrace=False)
        return self.lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reading.join()


def said(python: str, script: str, folder: Path, *, own_time: bool = False) -> list[str]:
    """Run a script whose main() is the program; return the lines it printed.

    own_time: under MicroPython, by a clock that other programs do not move.
    """
    with Talk(python, script, folder, own_time=own_time) as talk:
        return talk.end()
