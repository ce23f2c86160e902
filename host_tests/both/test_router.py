"""node/session/router, under both Pythons."""

from __future__ import annotations

import pytest
from both.cases import router as cases
from limpet.node_host.debian import available
from support.micropython import upy
from support.micropython.pythons import INTERPRETERS, names, run

# The most that one Command of 1 KB may take, garbage included: a fifth of what is left on an ESP32
# that is busy with TLS.
HEAP_MAX = 6 * 1024

# What one step may last on the unix port; measured: 0.4 ms.
TOOK_MAX_US = 50_000


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases))
def test_router(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases, case, interpreter)


@pytest.mark.skipif(not available("i386"), reason="i386 runs on Debian x86-64 machines only")
def test_hostile_commands_are_cheap() -> None:
    """On a 32-bit interpreter no hostile Command takes more heap or time than is documented."""
    script = "from support.fuzz.hostile import measure; measure()"
    lines = upy.run(script, arch="i386", path=[upy.OWN_TIME]).splitlines()
    assert len(lines) >= 15
    for line in lines:
        heap, took_us, _ = line.split(" ", 2)
        assert int(heap) <= HEAP_MAX, line
        assert int(took_us) <= TOOK_MAX_US, line
