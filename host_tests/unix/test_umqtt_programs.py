"""Programs written for umqtt do the same with umqtt_simple and umqtt_robust, at both brokers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.brokers.open_broker import KINDS, OpenBroker
from support.micropython.umqtt_script import PROGRAMS, played

# What umqtt of the package index cannot do: robust 1.0 waits for ever behind a reconnect, and does
# not connect by the connect() of a subclass.
OURS_ALONE = {
    "again": [
        *("False", "subscribing to b'test/topic/a'", "(b'test/topic/a', b'message 1')"),
        *("subscribing to b'test/topic/a'", "(b'test/topic/a', b'message 3')"),
    ]
}
# Messages that a program hears before it ends, where nothing else ends it.
HEARS = {"led": 3}
# They wait for what was said before.
LATE = ("listen", "look", "session")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", PROGRAMS)
def test_same_program_does_the_same(tmp_path: Path, kind: str, program: str) -> None:
    """What it prints with umqtt it prints with ours, where the import is all that was changed."""
    if (kind, program) == ("amqtt", "again"):
        pytest.skip("amqtt throws nobody out whose name another one takes")

    def printed(ours: bool) -> list[str]:
        # A broker each: amqtt sends retained messages to who has not asked for them.
        with OpenBroker(kind, tmp_path) as broker:
            if program in LATE:
                broker.retain("foo_topic", "hello")
            return played(program, broker.port, ours, HEARS.get(program, 1))

    assert printed(ours=True) == (OURS_ALONE.get(program) or printed(ours=False))
