"""The main loop sleeps whenever there is nothing to do, whatever the world is like.

A whole node with the default config, in simulated time (turns.py), and a process of its own.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from limpet.identity import device_config
from limpet.node_host.umqtt import umqtt_dir
from limpet.shared.paths import CAPTURES
from support.micropython import upy
from support.nodes import StartNode
from support.proxies.proxy import Proxy

CONFIG = {
    "device_id": "node-1",
    **dict.fromkeys(("org", "site", "zone", "device_type"), "a"),
    "broker": "127.0.0.1",
    "port": 1884,
    **dict.fromkeys(("ca", "cert", "key")),
}
MINUTES = 40


def ran(flash: Path, config: dict[str, Any], **settings: Any) -> dict[str, list[int]]:
    """What turns.py has counted."""
    device_config.write(flash, CONFIG | config)
    said = upy.run(
        "from support.simulated import turns",
        cwd=flash,
        path=[umqtt_dir()],
        env={
            "TURNS": json.dumps({"minutes": MINUTES, **settings}),
            "LIMPET_REPLAY": str(CAPTURES / "am2302_1mhz_200s.jsonl"),
        },
    )
    assert " node bug" not in said
    assert " node stuck" not in said
    found: dict[str, list[int]] = json.loads(said.partition("TURNS ")[2])
    return found


def turns(flash: Path, config: dict[str, Any], **settings: Any) -> list[int]:
    """How often the loop turned in each minute."""
    return ran(flash, config, **settings)["turns"]


@pytest.mark.parametrize(
    ("world", "most"),
    [
        # A Reading each 10 s, with its PUBACK and the answers to PINGREQ; health, birth, its echo.
        ("up", 40),
        # A Reading each 10 s, its commit 2 s later, tries to connect.
        ("refused", 40),
        ("black-hole", 40),
        ("silent", 40),
        ("half", 40),
        # Wi-Fi is looked at each second.
        ("no-wifi", 70),
    ],
)
@pytest.mark.parametrize("mode", ["normal", "safe"])
def test_node_sleeps(tmp_path: Path, world: str, most: int, mode: str) -> None:
    """A handful of turns in each minute with the default config, from boot on, up or not."""
    if mode == "safe":  # it has died young three times
        (tmp_path / "crash.bin").write_bytes(zlib.crc32(b"\3").to_bytes(4, "big") + b"\3")
    wifi = {"wifi_ssid": "beach"} if world == "no-wifi" else {}
    found = turns(tmp_path, wifi, world=world)
    assert len(found) == MINUTES
    assert max(found) <= most


def test_node_sleeps_behind_a_full_window(tmp_path: Path) -> None:
    """Health and the birth that is due again wait for room, and do not ask for it."""
    found = turns(tmp_path, {"interval_s": 2}, world="slow")
    assert len(found) == MINUTES
    # 30 Readings, of which each is committed, 25 PUBACKs, of which flash is told at each 16th, too.
    assert max(found) <= 124


@pytest.mark.parametrize("world", ["up", "slow", "half", "refused"])
def test_node_sleeps_while_it_leaves(tmp_path: Path, world: str) -> None:
    """The seconds in which it waits for the last answers are no busy ones, and nothing is stuck."""
    until = 301_000 if world == "slow" else 601_000  # a health message is due, and cannot go
    found = turns(tmp_path, {"interval_s": 2}, world=world, leave_at=until)
    assert found[-1] <= 60


@pytest.mark.parametrize(("rate", "within_ms"), [(0, 1000), (1000, 2000), (100, 11000)])
def test_pace_of_the_backlog_wakes_the_loop(tmp_path: Path, rate: int, within_ms: int) -> None:
    """1,000 Readings on flash go out as fast as `backlog_rate` says, with nothing else to do."""
    config = {"backlog_rate": rate, "interval_s": 86400}
    published = ran(tmp_path, config, world="up", minutes=3, stored=1000)["published"]
    # The boot's first Reading, which is not from flash, is taken 3 s after it.
    batches = [at for at in published if at < 60000 and at != 3000]
    assert len(batches) >= 10
    assert batches[-1] - batches[0] <= within_ms


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc here")
def test_node_without_a_broker_uses_no_cpu(node: StartNode) -> None:
    """A process with the default config, whose broker is gone: the processor is hardly used."""
    with Proxy(1) as nobody:
        nobody.refuse()
        running = node(nobody, config={"ca": None, "cert": None, "key": None})
        running.until("link down")
        before = cpu_s(running.pid)
        time.sleep(4)
        assert cpu_s(running.pid) - before < 0.5


def cpu_s(pid: int) -> float:
    """Seconds of the processor that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
