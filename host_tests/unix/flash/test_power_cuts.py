"""The power is cut at every operation of flash, and torn: what was promised is there after a boot.
So it is where flash refuses one to three operations, from each one on, and the node goes on.

On a real littlefs in the real interpreter; flashes.py says how. Each cut is tried three times: none
of the operation's bytes arrived, half of them, or garbage.
"""

from __future__ import annotations

import pytest
from support.flash.ways import FULL, WAYS
from support.micropython.upy import run

TEARS = 3

REFUSALS = [(times, way) for times in (1, 2, 3) for way in WAYS] if FULL else [(2, WAYS[0])]

# What is done to a log with segments of 10 and a bound of 40: see cases_recordlog.run.
LOG = {
    "one at a time": "1 " * 39,
    "overflow": "1 " * 100,
    "batches": "7 1 6 2 1 1 5 12 14 3 1 1 1 4 9 1 14 2 13 1 1 1 6 8 1 2 3",
    "forgetting": "1 1 1 1 1 1 1 1 1 1 1 r f3 s f4 f3 1 1 f5 f9 1 f1 1 1 f1 s f1 3 2 8 f5 s 6 f30",
    "opening": "1 1 1 o 1 1 1 1 o 1 f3 o 1 1 f2 s o 9 4 1 f11 o 1 1 1 1 1 1 1 f9 s o f30 o 1 1",
    "all": "1 1 7 1 1 1 r f4 12 1 s 1 1 o 1 14 9 8 1 f2 13 1 s 1 1 f20 1 1 o 1 1 f15 1 1 1 r",
}


def tried(name: str, call: str) -> int:
    """Run something that cuts the power everywhere; how many cuts it tried, at least some."""
    script = f"from unix.flash import cases_power_cuts as node, cases_recordlog as log\n{call}"
    cuts = int(run(script, heap="8m"))
    print(f"{name}: {cuts // TEARS} points, {cuts} cuts")
    assert cuts > 0
    assert not cuts % TEARS
    return cuts


# Blocks as on a chip, and small ones, in which littlefs compacts and moves all the time.
@pytest.mark.parametrize("block_size", [4096, 512])
@pytest.mark.parametrize("steps", LOG)
def test_log_keeps_what_it_promised(steps: str, block_size: int) -> None:
    """Records whose append had returned are there, in order, and nothing that never was."""
    cuts = tried(f"{steps}, {block_size}", f"log.cuts({LOG[steps]!r}, {block_size})")
    assert cuts > TEARS * len(LOG[steps].split())


@pytest.mark.parametrize("size", [60, 200])
def test_log_of_larger_records_keeps_what_it_promised(size: int) -> None:
    """The same where 2 records fit into a small file, or none."""
    assert tried(f"all, {size} bytes", f"log.SIZE = {size}; log.cuts({LOG['all']!r}, 4096)") > 300


CALLS = [
    *("replaced(8)", "replaced(3000)", "boot_counter()", "command_memory()"),
    *("messages()", "configured()", "readings()", "provisioned()"),
    *("identities()", "upgraded()"),
]


@pytest.mark.parametrize("call", CALLS)
def test_node_keeps_what_it_promised(call: str) -> None:
    """The function, whose own docstring says what holds, finds it so after each cut."""
    assert tried(call, f"node.{call}") > 20


@pytest.mark.parametrize("call", CALLS)
def test_node_keeps_what_it_promised_though_flash_refuses(call: str) -> None:
    """The same for who boots after flash has refused operations, up to three in a row."""
    for refusal in REFUSALS:
        told = call.replace(")", f", refusals={refusal})").replace("(, ", "(")
        script = f"from unix.flash import cases_power_cuts as node\nnode.{told}"
        assert int(run(script, heap="8m").split()[-1]) > 6
