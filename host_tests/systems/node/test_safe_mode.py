"""Boots that crash, on a whole node: kept, counted, and after the third in a row safe mode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.brokers.running import PASSWORD, RunningBroker
from support.micropython.upy import run
from support.nodes import Commander, Node, StartNode, wait_for_status
from support.patched import mended, patched


class Nobody:
    """A port on which nobody listens."""

    port = 1


@pytest.fixture
def nobody() -> Nobody:
    """A place to connect to in vain."""
    return Nobody()


# Each crashes a boot at once: while it is imported, while main joins the parts, or in a step.
CRASHES = {
    "import": (
        "node/readings/sampler.py",
        "\nfrom node.shared.reading",
        "\nimport no_such_module\nfrom node.shared.reading",
    ),
    "start": (
        "node/readings/sampler.py",
        "        self._boot = boot\n",
        "        self._boot = boat\n",
    ),
    "bugs": (
        "node/readings/sampler.py",
        "            asked = self._next(now)\n            if asked",
        "            asked = self._naxt(now)\n            if asked",
    ),
}
TEXTS = {
    "import": "ImportError: no module named 'no_such_module'",
    "start": "NameError: name 'boat' isn't defined",
    "bugs": "AttributeError: 'Sampler' object has no attribute '_naxt'",
}


def nth_boot(running: Node, number: int) -> str:
    """Wait for the `number`th boot of this node, and return its line."""
    running.until(lambda _: len(running.said("node boot=")) >= number)
    return running.said("node boot=")[number - 1]


@pytest.mark.parametrize("how", CRASHES)
def test_safe_mode_after_three_crashes(
    how: str, broker: RunningBroker, node: StartNode, tmp_path: Path
) -> None:
    """Three crashes in a row, of whatever kind, and the node is there without its sampler.

    It answers Commands, tells what the crash was, and leaves safe mode by a reboot.
    """
    file = CRASHES[how][0]
    firmware = patched(tmp_path / "firmware", CRASHES[how])
    operator = broker.operator()
    running = node(broker, speed=10, firmware=firmware)
    birth = wait_for_status(operator, lambda said: said.get("mode") == "safe").json()
    assert f"boot={birth['boot']} " in nth_boot(running, 4)
    assert birth["reset"] == "hard"
    assert birth["why"] == ("bugs" if how == "bugs" else "crash")
    ask = Commander(operator).ask
    crash = ask("get_crash")["result"]
    assert crash["count"] == 3
    lines = crash["crash"].split("\n")
    assert lines[0] == "limpet 0.1.0"
    assert all(line.startswith('  File "') for line in lines[1:-1])
    assert f'{file}", line ' in lines[-2]
    assert lines[-1] == TEXTS[how]
    assert ask("ping")["status"] == "executed"
    assert ask("set_interval", params={"seconds": 2})["status"] == "executed"
    assert ask("read_now")["code"] == "safe-mode"
    health = ask("get_status")["result"]
    assert (health["reads"], health["interval_s"]) == (0, 2)
    assert not running.said(" sampler ")
    mended(firmware, file)
    assert ask("reboot")["status"] == "executed"
    birth = wait_for_status(operator, lambda said: said.get("why") == "reboot").json()
    assert "mode" not in birth
    running.until("sampler reading")


@pytest.mark.long
def test_good_run_clears_the_count(node: StartNode, tmp_path: Path, nobody: Nobody) -> None:
    """Two crashes, then 120 s of life: the next two crashes do not lead to safe mode either."""
    twice = (
        "node/readings/sampler.py",
        "\nfrom node.shared.reading",
        "\nimport os\nfor each in ('crash-1', 'crash-2'):\n    if each in os.listdir():\n"
        "        os.remove(each)\n        import no_such_module\nfrom node.shared.reading",
    )
    firmware = patched(tmp_path / "firmware", twice)
    crashes = {"crash-1": b"", "crash-2": b""}
    running = node(nobody, speed=500, firmware=firmware, files=crashes)
    over = running.until(lambda line: "sampler reading" in line and float(line.split()[0]) > 130)
    # A busy machine may come to this one before it comes to the count, but to no second one.
    running.until("sampler reading", since=running.lines.index(over) + 1)
    crash = (running.root / "crash.bin").read_bytes()[4:]
    assert crash[0] == 0
    assert b"no_such_module" in crash


def test_hour_of_safe_mode_is_enough(node: StartNode, tmp_path: Path, nobody: Nobody) -> None:
    """After an hour the node tries to live again; should it crash, one crash is enough."""
    firmware = patched(tmp_path / "firmware", CRASHES["import"])
    running = node(nobody, speed=3000, firmware=firmware)
    running.until("mode=safe")
    line = running.until("node stopped reason=safe-mode")
    # An hour, not two: at this speed a busy machine may take a minute for one step.
    assert 3600 <= float(line.split()[0]) < 7200
    assert "why=safe-mode" in nth_boot(running, 5)
    assert "mode=safe" in nth_boot(running, 6)


def test_crash_in_safe_mode_pauses(node: StartNode, tmp_path: Path, nobody: Nobody) -> None:
    """What safe mode needs as well crashes it as well: then the node starts once a minute."""
    crash = ("node/session/causes.py", 'RIVAL = "rival"\n', "RIVAL = for_ever\n")
    pause = ("device/guard.py", "time.sleep(_PAUSE_S)", 'print("pause", _PAUSE_S)')
    running = node(nobody, firmware=patched(tmp_path / "firmware", crash, pause))
    running.until(lambda _: len(running.said("pause 60")) >= 2)
    said = [line.split(":")[0] for line in running.lines if line.startswith(("NameError", "pause"))]
    # The first three boots were not yet in safe mode.
    assert said[:7] == [*["NameError"] * 4, "pause 60", "NameError", "pause 60"]


def test_soft_reset_for_memory(broker: RunningBroker, node: StartNode, tmp_path: Path) -> None:
    """TLS that never gets its memory is a soft reset; the birth says what for, backoff goes on."""
    starved = (
        "node/session/link.py",
        "        client.step(now)\n",
        "        client.step(now)\n"
        "        if client.state == 'securing':\n"
        "            client.abort()\n"
        "            self.on_down('memory')\n",
    )
    sooner = ("node/system/recovery.py", "_PROOF_MS = const(600_000)", "_PROOF_MS = const(10_000)")
    firmware = patched(tmp_path / "firmware", starved, sooner)
    operator = broker.operator()
    running = node(broker, speed=20, firmware=firmware)
    running.until("cause=memory")
    mended(firmware, "node/session/link.py")
    birth = wait_for_status(operator, lambda said: said.get("why") == "memory").json()
    assert birth["reset"] == "soft"
    kept = json.loads((running.root / "rtc.memory").read_bytes()[4:])
    assert kept["attempts"]["network"] >= 3
    assert not (running.root / "crash.bin").exists()


def test_nothing_secret_is_kept(node: StartNode, tmp_path: Path, nobody: Nobody) -> None:
    """An exception that quotes a password, over several lines, leaves none of it on flash."""
    leaks = (
        "node/readings/sampler.py",
        "        self._boot = boot\n",
        "        raise ValueError('%s\\n  File \"%s\", line 1' % (SECRET, SECRET))\n",
    )
    secret = (
        "node/readings/sampler.py",
        "\n\n\nclass _Asked",
        f"\nSECRET = {PASSWORD!r}\n\n\nclass _Asked",
    )
    firmware = patched(tmp_path / "firmware", secret, leaks)
    running = node(nobody, firmware=firmware)
    nth_boot(running, 2)
    kept = (running.root / "crash.bin").read_bytes()
    assert b"sampler.py" in kept
    assert kept.endswith(b"\nValueError")
    for file in running.root.glob("*"):
        if file.name not in ("identity.json", "settings.json") and file.is_file():
            assert PASSWORD.encode() not in file.read_bytes()


def test_text_of_any_exception_is_bounded_and_plain() -> None:
    """Neither payloads nor keys of a dict nor a recursion's thousand frames are kept."""
    script = """
from node.system.crash_report import report
def deep():
    deep()
def fails(do):
    try:
        do()
    except Exception as error:
        return report(error)
for do in (
    lambda: int("hunter2"), lambda: {}["hunter2"], lambda: b"hunter2".decode("hunter2").index("x"),
    lambda: [].remove("hunter2"), lambda: open("hunter2"), lambda: {"hunter2": 1}.pop("hunter22"),
):
    text = fails(do)
    print("hunter2" in text, text.split("\\n")[-1])
class Other(Exception):
    pass
try:
    raise Other("hunter2")
except Other as error:
    print(report(error).split("\\n")[-1])
text = fails(deep)
print(len(text) <= 760, text.count("deep"), text.split("\\n")[-1])
text = fails(lambda: __import__("x" * 5000))
print(len(text) <= 760)
"""
    assert run(script).splitlines() == [
        "False ValueError",
        "False KeyError",
        "False ValueError",
        "False ValueError",
        "False OSError 2",
        "False KeyError",
        "Other",
        "True 12 RuntimeError",
        "True",
    ]
