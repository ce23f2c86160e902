"""A file system that is nearly full: the Outbox leaves room for config, Commands and crashes.

On the real littlefs, as large as an ESP32's with 4 MB of flash.
"""

from __future__ import annotations

from support.micropython import upy

SCRIPT = """
import errno, os
from device import flash, generations
from support.flash.flashes import ROOT, fresh
from node.shared.pair_file import PairFile
from recordlog import RecordLog

fresh(blocks=512)
os.chdir(ROOT)
class config:
    outbox_readings = 60000
stats = os.statvfs(ROOT)
with open(ROOT + "/code", "wb") as file:
    for _ in range(stats[3] - LEFT // 4096):
        file.write(b"x" * 4096)

def others():
    # What the node rewrites beside its Readings: config, Commands, Responses, a crash.
    failed = 0
    for name, size in (("config.json", 1500), ("commands.bin", 4000), ("crash.bin", 1000)):
        try:
            flash.replace(ROOT + "/" + name, bytes(size))
        except OSError:
            failed += 1
    try:
        pairs = PairFile(ROOT + "/responses", flash.read, flash.replace)
        pairs.save([("t", bytes(1500))] * 4)
    except OSError:
        failed += 1
    return failed

failed = held = 0
log = RecordLog("readings", 20, READINGS_MAX)
records = bytes(20 * 100)
for n in range(200):
    try:
        log.append(records, 100)
    except OSError as error:  # as the Backlog does
        assert error.errno == 28
        log.drop_oldest()
    if n % 10 == 9:
        failed += others()
held = generations.held("readings") // 24
again = RecordLog("readings", 20, READINGS_MAX)
assert len(again) == len(log)
try:
    again.append(records, 100)
except OSError:
    failed += 1
print(failed, len(again), again.dropped > 0, os.statvfs(ROOT)[3] * 4096)
"""


def full(left: int, held: str = "generations.readings_max(config, 24, held)") -> list[str]:
    """What is left of `left` bytes when an outage took 20,000 Readings: failures, held, free."""
    script = f"LEFT = {left}\n" + SCRIPT.replace("READINGS_MAX", held)
    return upy.run(script, heap="8m").split()


def test_outbox_leaves_room() -> None:
    """With 400 KB left, 60,000 Readings are allowed but not taken: nothing else fails."""
    failed, held, dropped, free = full(400 * 1024)
    assert failed == "0"
    assert dropped == "True"
    assert 1000 < int(held) < 4000
    assert int(free) > 256 * 1024


def test_outbox_holds_some_where_there_is_no_room_to_leave() -> None:
    """Where less is left than others may need, the Outbox takes two blocks and no more."""
    failed, held, _, _ = full(200 * 1024)
    assert failed == "0"
    assert 170 <= int(held) <= 3 * 170


def test_outbox_is_as_large_as_the_config_says_where_there_is_room() -> None:
    """Of 1.9 MB, all 20,000 Readings."""
    failed, held, dropped, _ = full(1900 * 1024)
    assert (failed, held, dropped) == ("0", "20100", "False")


def test_refused_look_at_the_readings_is_no_empty_folder() -> None:
    """Else the bound would fall to what is free, and what is held beyond it would be dropped."""
    script = """
import os
from device import generations
from node.readings import layouts
from node.readings.telemetry import Telemetry
from support.parts.backlogs import fresh_rtc_state

class Refusing:
    refused = None

    def __getattr__(self, name):
        return getattr(os, name)

    def ilistdir(self, path):
        if path == self.refused:
            raise OSError(5)
        return os.ilistdir(path)

class config:
    outbox_readings = 60000
    backlog_rate = 0
    payload_max = 2048

encode = Telemetry("", 1, 1, None, layouts.of((("temperature", 1, "h"),)))
opened = lambda: generations.opened(encode, config, fresh_rtc_state())
print(opened().foreign)
generations.os = Refusing()
for Refusing.refused in (".", generations.named(encode.fields, encode.format)[0]):
    try:
        print(opened())
    except OSError as error:
        print(error.errno)
"""
    assert upy.run(script).split() == ["0", "5", "5"]


def test_full_flash_fails_others_without_that() -> None:
    """What it is for: with the config's bound alone, the same outage leaves them no room."""
    assert int(full(400 * 1024, "60000")[0]) > 0
