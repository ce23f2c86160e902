"""Prometheus of Debian, and its promtool: where they are on this machine, and one that scrapes."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from limpet.node_host import debian
from limpet.shared.problem import Problem
from support.ports import closed_port
from support.tool import TIMEOUT_S

Labels = tuple[tuple[str, str], ...]


@functools.cache
def _found(program: str) -> list[str] | str:
    if there := shutil.which(program):
        return [there]
    if not debian.available():
        return "no Debian apt to get it from"
    try:
        root = debian.unpacked("prometheus")
    except Problem as problem:
        return problem.cause
    return debian.command(root, debian.HOST, f"usr/bin/{program}")


def command(program: str) -> list[str]:
    """Return how to start `prometheus` or `promtool`: the system's, or Debian's, unpacked; skip the
    test where it cannot be had.
    """
    found = _found(program)
    if isinstance(found, str):
        pytest.skip(f"no {program} here: {found}")
    return found


class Scraping:
    """A Prometheus that scrapes `url` each `every_s` seconds while the block runs, as the job
    `limpet`, with its files in `folder` and these rules.
    """

    def __init__(self, folder: Path, url: str, rules: Path, every_s: int = 1) -> None:
        line = command("prometheus")
        target = url.removeprefix("http://").removesuffix("/metrics")
        (folder / "prometheus.yml").write_text(
            f"global: {{scrape_interval: {every_s}s, scrape_timeout: {every_s}s,"
            " evaluation_interval: 1s}\n"
            f"rule_files: [{rules}]\n"
            f"scrape_configs: [{{job_name: limpet, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        self.url = f"http://127.0.0.1:{closed_port()}"
        at = f"--web.listen-address={self.url.removeprefix('http://')}"
        words = ["--config.file=prometheus.yml", at, f"--storage.tsdb.path={folder}/data"]
        self._line, self._folder = [*line, *words], folder

    def __enter__(self) -> Scraping:
        self._running = subprocess.Popen(
            self._line,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "prometheus.log").open("w"),
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._running.kill()
        self._running.wait()

    def ask(self, what: str, **words: str) -> Any:
        """Return the data of its API at `what`; None where it does not answer, or cannot."""
        try:
            with urlopen(f"{self.url}/api/v1/{what}?{urlencode(words)}", timeout=TIMEOUT_S) as got:
                return json.load(got)["data"]
        except OSError:
            assert self._running.poll() is None, (self._folder / "prometheus.log").read_text()
            return None

    def now(self, expr: str) -> dict[Labels, float]:
        """Return the values of an expression by their labels."""
        found = self.ask("query", query=expr) or {"result": []}
        return {
            tuple(sorted(each["metric"].items())): float(each["value"][1])
            for each in found["result"]
        }

    def until_some(self, expr: str) -> dict[Labels, float]:
        """Return them when there are some."""
        limit = time.monotonic() + TIMEOUT_S
        while not (found := self.now(expr)):
            assert time.monotonic() < limit, f"Prometheus has nothing of {expr}"
            time.sleep(0.3)
        return found
