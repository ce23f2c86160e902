"""`make cluster`, in short: what it counts, and that nothing is lost when a member dies."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from limpet.brokers.haproxy.program import haproxy
from limpet.brokers.nats.program import nats_server
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem
from support.cluster.ledger import Ledger

_LIMIT_S = 240


@pytest.mark.long
def test_nats_loses_a_member_and_nothing_else() -> None:
    """Three nodes for a few seconds, in which members die and come back."""
    try:
        haproxy()
        nats_server()
    except Problem as problem:
        pytest.skip(f"{problem.cause} {problem.remedy}")
    line = [sys.executable, "host_tests/cluster.py", "--cluster", "nats"]
    line += ["--seconds", "12", "--nodes", "3"]
    done = subprocess.run(line, cwd=REPO, capture_output=True, text=True, timeout=_LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = dict(_row(line) for line in done.stdout.splitlines() if line.startswith("| "))
    assert rows["lost"] == "0"
    young = int(rows["not yet on flash when the power went"])
    assert int(rows["Readings taken"]) == int(rows["delivered"]) + young
    assert int(rows["delivered"]) > young
    assert not rows["members killed"].startswith("0")
    assert rows["retained statuses, member 1"] == "3 right, 0 old, 0 missing"


def test_ledger_counts_what_is_lost() -> None:
    """A Reading that was taken and does not come is lost, unless the power went right after."""
    ledger = Ledger(["node-1"])
    for line in (
        "0.1 node boot=7 fw=1",
        "1.0 sampler reading seq=0 temperature=1.0",
        "3.0 sampler reading seq=1 temperature=1.0",
    ):
        ledger.line("node-1", line)
    payload = b'{"v":1,"boot":7,"seq":0,"ts":1790000000,"temperature":1.0}'
    ledger.got("node-1", payload)
    ledger.got("node-1", payload)
    assert [key.seq for key in ledger.lost()] == [1]
    assert ledger.twice() == 1
    assert not ledger.wait_all(0.01)
    ledger.power_cut("node-1", young_s=60)
    assert ledger.lost() == []
    ledger.got("node-1", b"no JSON")
    assert len(ledger.foreign) == 1


def test_ledger_knows_who_is_silent() -> None:
    """Each device is waited for, and the longest time without one is kept."""
    ledger = Ledger(["node-1", "node-2"])
    began = time.monotonic()
    ledger.got("node-1", b'{"v":1,"boot":7,"seq":0,"ts":1790000000,"temperature":1.0}')
    assert ledger.wait_each(began, 0.01) == ["node-2"]


def _row(line: str) -> tuple[str, str]:
    _, what, how_much, _ = line.split("|")
    return what.strip(), how_much.strip()
