"""node/commands, under both Pythons."""

from __future__ import annotations

import json

import pytest
from both.cases import commands as cases_commands
from both.cases import router as cases_router
from node.commands import response
from node.readings.safe import resting
from support.micropython.pythons import INTERPRETERS, names, run
from support.parts import rig


@pytest.mark.parametrize("interpreter", INTERPRETERS)
@pytest.mark.parametrize("case", names(cases_commands))
def test_commands(case: str, interpreter: str) -> None:
    """Each case holds under both Pythons."""
    run(cases_commands, case, interpreter)


def test_codes_are_documented() -> None:
    """Every code that a case meets is in the docstring of response.py, under its status."""
    said: dict[str, set[str]] = {}
    status = ""
    for line in (response.__doc__ or "").splitlines():
        words = line.split()
        if line.startswith("    "):
            status = status if line.startswith("     ") else words.pop(0)
            said.setdefault(status, set()).update(words)
    met: dict[str, set[str]] = {}

    class Listening(rig.Rig):
        def put(self, topic: str, payload: bytes) -> int:
            message = json.loads(payload)
            if message["status"] != "executed":
                met.setdefault(message["status"], set()).add(message["code"])
            return super().put(topic, payload)

    for module in (cases_router, cases_commands):
        for case in names(module):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "Rig", Listening)
                vars(module)[case]()
    met["failed"].remove("sensor")  # a handler's own
    from node.shared.errors import CommandError

    with pytest.raises(CommandError) as refused:
        resting(60)[0].read_now(0)
    met["failed"].add(refused.value.code)
    assert met == said
