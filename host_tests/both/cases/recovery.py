"""Cases of what a reset is decided by, and of what outlives it: recovery, crashes, RTC state."""

import json

from backoff import Backoff
from node.reporting.facts import facts
from node.shared.rtc_state import RtcState, seal, unseal
from node.system.crashes import DEATHS, Crashes
from node.system.recovery import Recovery
from support.parts.due import run_due
from support.parts.rig import Flash

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Chip:
    """RTC memory, flash and Wi-Fi of one node; `boot()` is what the guard and main make of them."""

    def __init__(self) -> None:
        self.flash = Flash()
        self.rtc = b""
        self.saves = 0
        self.cause: str | None = None
        self.rejoined: list[int] = []
        self.lines: list[str] = []
        self.boot("power-on")

    def save(self, data: bytes) -> None:
        """Keep what RTC memory holds."""
        self.rtc = bytes(data)
        self.saves += 1

    def rejoin(self, now: int) -> None:
        """Take note of a join anew."""
        self.rejoined.append(now)

    def boot(self, cause: str) -> None:
        """Start after a reset of that cause."""
        self.rtc_state = RtcState(b"" if cause == "power-on" else self.rtc, self.save)
        self.crashes = Crashes("crash.bin", self.flash.read, self.flash.replace, self.rtc_state)
        self.crashes.begin(cause)
        self.facts = facts(self.rtc_state, self.crashes, cause)
        self.backoff = Backoff(lambda: 0.5, attempts=self.rtc_state.get("attempts"))
        self.recovery = Recovery(
            self,
            self.rtc_state,
            self.crashes,
            self.backoff,
            lambda *w: self.lines.append(w),
        )

    def said(self) -> list:
        """What the birth says of this boot, beside version and reset."""
        return self.facts[2:]

    def fail(self, cause: str, begin: int, end: int, every: int = MINUTE) -> str | None:
        """Try in vain for `cause` from `begin` to `end`; return what a reset is asked for."""
        for now in range(begin, end, every):
            self.recovery.down(now, cause, "network")
            self.recovery.run(now)
            if self.recovery.wish:
                return self.recovery.wish
        return None

    def reset(self, reason: str) -> bool | None:
        """Leave for `reason` and start again; return whether the reset was a hard one."""
        hard = self.recovery.leave(reason)
        self.boot("hard" if hard else "soft")
        return hard


def case_broker_gone_for_days() -> None:
    """No cause that the network or the broker can bring about ever asks for a reset."""
    for cause in ("tcp-timeout", "dns", "tcp-refused", "tls-timeout", "credentials", "closed"):
        chip = Chip()
        assert chip.fail(cause, 0, 5 * DAY) is None, cause
    chip = Chip()
    chip.cause = "no-ap"
    for hour in range(30 * 24):  # a range of 32 bits does not go as far in ms
        chip.recovery.run(hour * HOUR)
        assert chip.recovery.wish is None


def case_silence_rejoins() -> None:
    """Ten minutes of silence join Wi-Fi anew, then 20, 40 and at last 60; minutes each."""
    chip = Chip()
    for now in range(0, 5 * HOUR, MINUTE):
        cause = ("dns", "tcp-timeout", "tcp-unreachable")[now // MINUTE % 3]
        chip.recovery.down(now, cause, "network")
    assert [now // MINUTE for now in chip.rejoined] == [10, 31, 72, 133, 194, 255]
    assert chip.recovery.up(5 * HOUR) == {"s": 5 * 3600, "cause": "dns", "rejoins": 6}
    chip.recovery.down(5 * HOUR, "closed", "network")
    assert chip.recovery.up(5 * HOUR + 1000) == {"s": 1, "cause": "closed"}


def case_an_answer_is_proof() -> None:
    """Whatever shows that somebody answered starts the ten minutes again."""
    for cause in ("tcp-refused", "tls-timeout", "tls-refused", "connack-timeout", "credentials"):
        chip = Chip()
        for now in range(0, 5 * HOUR, MINUTE):
            said = cause if now % (9 * MINUTE) == 0 else "tcp-timeout"
            chip.recovery.down(now, said, "network")
        assert chip.rejoined == [], cause
    chip = Chip()
    for now in range(0, 5 * HOUR, 9 * MINUTE):
        chip.recovery.down(now, "dns", "network")
        chip.recovery.up(now + 1)
    assert chip.rejoined == []


def case_memory_climbs() -> None:
    """Three times `memory` in ten minutes and nothing else: soft, then hard; said in the birth."""
    chip = Chip()
    assert chip.fail("memory", 0, HOUR, 9 * MINUTE) == "memory"
    assert chip.reset("memory") is False
    assert chip.said() == [("why", "memory")]
    assert chip.fail("memory", 0, HOUR) == "memory"
    assert chip.reset("memory") is True
    assert chip.said() == [("why", "memory")]


def case_memory_now_and_then() -> None:
    """`memory` twice, or with anything else in between, is no proof."""
    chip = Chip()
    assert chip.fail("memory", 0, HOUR, 40 * MINUTE) is None
    for now in range(0, DAY, 9 * MINUTE):
        assert chip.fail("memory", now, now + 1) is None
        assert chip.fail("closed", now + MINUTE, now + MINUTE + 1) is None


def case_memory_that_is_over() -> None:
    """Whoever is up again has the memory for it: no reset ten minutes later."""
    chip = Chip()
    assert chip.fail("memory", 0, 5 * MINUTE) is None
    chip.recovery.up(5 * MINUTE)
    chip.recovery.run(DAY)
    assert chip.recovery.wish is None


def case_driver() -> None:
    """A driver that does nothing but raise for ten minutes is reset, one that recovers is not."""
    chip = Chip()
    chip.cause = "driver"
    chip.recovery.run(0)
    chip.recovery.run(10 * MINUTE - 1)
    assert chip.recovery.wish is None
    chip.cause = "no-ap"
    chip.recovery.run(10 * MINUTE)
    chip.cause = "driver"
    chip.recovery.run(11 * MINUTE)
    chip.recovery.run(20 * MINUTE)
    assert chip.recovery.wish is None
    chip.recovery.run(21 * MINUTE)
    assert chip.recovery.wish == "driver"


def case_bugs() -> None:
    """Ten bugs within an hour are too many; ten in a year are not."""
    chip = Chip()
    for month in range(12):
        chip.recovery.bug(month * 30 * DAY)
        chip.recovery.run(month * 30 * DAY)
        assert chip.recovery.wish is None
    for now in range(9):
        chip.recovery.bug(366 * DAY + now)
    chip.recovery.run(366 * DAY + 10)
    assert chip.recovery.wish is None
    chip.recovery.bug(366 * DAY + 10)
    chip.recovery.run(366 * DAY + 10)
    assert chip.recovery.wish == "bugs"


def case_pauses_between_resets() -> None:
    """Three resets at once, then pauses of 10 min to 10 h 40 min: no storm where none helps."""
    chip = Chip()
    waited = []
    for _ in range(12):
        now = 0
        while not chip.recovery.wish:
            for _ in range(10):
                chip.recovery.bug(now)
            chip.recovery.run(now)
            now += MINUTE
        waited.append(now // MINUTE - 1)
        chip.reset("memory")
    assert waited == [0, 0, 0, 10, 20, 40, 80, 160, 320, 640, 640, 640]


def case_cured() -> None:
    """Ten minutes up, and the next reset is a soft one again, without the old counts."""
    chip = Chip()
    assert chip.fail("memory", 0, HOUR) == "memory"
    chip.reset("memory")
    assert chip.backoff.attempts["network"] > 5
    chip.recovery.up(MINUTE)
    chip.recovery.run(11 * MINUTE - 1)
    assert chip.rtc_state.get("resets") == 1
    chip.recovery.run(11 * MINUTE)
    assert chip.rtc_state.get("resets") is None
    assert chip.rtc_state.get("attempts") is None
    assert chip.fail("memory", HOUR, 2 * HOUR) == "memory"
    assert chip.reset("memory") is False


def case_attempts_survive() -> None:
    """Backoff goes on over a reset where it was, and its first try waits as well."""
    chip = Chip()
    assert chip.backoff.resume_ms() == 0
    chip.fail("tcp-refused", 0, 5 * MINUTE)
    chip.boot("watchdog")
    assert chip.backoff.attempts == {"network": 5}
    assert chip.backoff.resume_ms() == 30_000  # half of the cap, which is below 2 s << 5
    assert chip.backoff.next_ms("network") == 30_000
    chip.boot("power-on")
    assert chip.backoff.attempts == {}
    assert Backoff(lambda: 0.5, attempts={"network": 20}).resume_ms() == 30_000


def case_attempts_are_not_believed() -> None:
    """What cannot be a count is left out."""
    wrong = {"a": -1, "b": 21, "c": "5", "d": None, "e": True, "f": 3}
    assert Backoff(lambda: 0.5, attempts=wrong).attempts == {"f": 3}


def case_why() -> None:
    """The reason is said once: a later reset without one says none."""
    chip = Chip()
    assert chip.said() == []
    assert chip.reset("reboot") is True
    assert chip.said() == [("why", "reboot")]
    die(chip, at=125_000)
    assert chip.said() == []
    run_due(chip.crashes, 120_000)
    chip.recovery.stuck("link")
    chip.boot("watchdog")
    assert chip.said() == [("why", "link")]
    run_due(chip.crashes, 120_000)
    chip.recovery.stuck("sampler")
    chip.recovery.stuck(None)
    chip.boot("watchdog")
    assert chip.said() == []
    assert chip.recovery.leave("shutdown") is None


def case_rtc_state_damaged() -> None:
    """Each cut, each wrong bit, and other types under known names: none is believed."""
    chip = Chip()
    chip.fail("dns", 0, 5 * MINUTE)
    whole = chip.rtc
    assert RtcState(whole, chip.save).get("attempts") == {"network": 5}
    for at in range(len(whole)):
        for bit in range(8):
            wrong = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            assert RtcState(wrong, chip.save).get("attempts") is None
        assert RtcState(whole[:at], chip.save).get("attempts") is None
    bad = (
        b"",
        b"{",
        b"[]",
        b"7",
        b'{"resets":"1","trial":1,"why":5,"attempts":[],"more":1}',
        b"\xff",
    )
    for body in bad:
        found = RtcState(seal(body), chip.save)
        for name in ("resets", "trial", "why", "attempts", "more"):
            assert found.get(name) is None, body
    assert unseal(seal(b"")) == b""


def case_nothing_is_written_without_need() -> None:
    """A good day writes neither flash nor RTC memory after its first two minutes."""
    chip = Chip()
    chip.recovery.up(1000)
    for now in range(0, 12 * MINUTE, 10_000):
        assert run_due(chip.recovery, now)
        run_due(chip.crashes, now)
    saves = chip.saves
    for now in range(12 * MINUTE, DAY, 10_000):
        assert run_due(chip.recovery, now)
        run_due(chip.crashes, now)
    assert chip.saves == saves
    assert chip.flash.writes == 0


# --- crashes ------------------------------------------------------------------------------------


def die(chip: Chip, how: str = "watchdog", at: int = 1000) -> None:
    """End without a word after `at` ms."""
    for now in range(0, at, 1000):
        run_due(chip.crashes, now)
    chip.boot(how)


def case_three_early_deaths() -> None:
    """The third death in a row before 120 s leads to safe mode; a panic counts, as `hard`."""
    chip = Chip()
    for how in ("watchdog", "hard"):
        die(chip, how, 119_000)
        assert not chip.crashes.safe
        assert chip.said() == []
    die(chip)
    assert chip.crashes.safe
    assert chip.said() == [("mode", "safe")]
    last = chip.crashes.last()
    assert last["count"] == DEATHS
    assert last["crash"].split("\n")[1] == "watchdog reset, no exception, stuck: nothing known"


def case_good_run_clears() -> None:
    """120 s of life clear the count, not the text; later deaths count no more."""
    chip = Chip()
    die(chip)
    die(chip)
    assert chip.crashes.last()["count"] == 2
    writes = chip.flash.writes
    for now in range(0, 200_000, 1000):
        run_due(chip.crashes, now)
    assert chip.crashes.last()["count"] == 0
    assert "watchdog" in chip.crashes.last()["crash"]
    assert chip.flash.writes == writes + 1
    for _ in range(5):
        die(chip, at=125_000)
    assert not chip.crashes.safe


def case_stuck_is_no_good_run() -> None:
    """A boot that has been stuck since it was young dies young, however late the watchdog bites."""
    chip = Chip()
    run_due(chip.crashes, 60_000)
    chip.recovery.stuck("link")
    die(chip, at=190_000)
    assert chip.crashes.count == 1
    assert "stuck: link" in chip.crashes.last()["crash"]


def case_power_cuts_and_chosen_ends_do_not_count() -> None:
    """Power cuts, Ctrl-C, reboots and soft resets are no crashes, however early."""
    chip = Chip()
    for _ in range(5):
        die(chip, "power-on")
    for reason in ("reboot", "shutdown", "memory") * 2:
        chip.recovery.leave(reason)
        chip.boot("hard")
    for _ in range(5):
        die(chip, "soft")
    assert chip.crashes.last() == {"count": 0, "crash": None}
    assert chip.flash.writes == 0


def case_leaving_safe_mode() -> None:
    """A reboot or an hour leave it, with one death to spare; a power cut and bugs do not."""
    for reason in ("reboot", "safe-mode"):
        chip = Chip()
        for _ in range(3):
            die(chip)
        assert chip.crashes.safe
        for now in range(0, HOUR, 10_000):
            run_due(chip.crashes, now)
            assert chip.crashes.wish is None
        chip.boot("power-on")
        assert chip.crashes.safe
        assert chip.recovery.leave("memory") is False
        chip.boot("soft")
        assert chip.crashes.safe
        run_due(chip.crashes, HOUR)
        assert chip.crashes.wish == "safe-mode"
        assert chip.recovery.leave(reason) is True
        chip.boot("hard")
        assert not chip.crashes.safe
        assert chip.said() == [("why", reason)]
        die(chip)
        assert chip.crashes.safe


def case_crash_file_damaged() -> None:
    """A file that was cut or has a wrong bit counts as none; flash that fails stops nothing."""
    chip = Chip()
    for _ in range(3):
        die(chip)
    whole = chip.flash.files["crash.bin"]
    for at in range(len(whole)):
        for bit in range(8):
            chip.flash.files["crash.bin"] = (
                whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            )
            assert Crashes("crash.bin", chip.flash.read, None, None).count == 0
        chip.flash.files["crash.bin"] = whole[:at]
        assert Crashes("crash.bin", chip.flash.read, None, None).last()["crash"] is None
    chip.flash.files["crash.bin"] = seal(b"\x01\xff\xfe")
    assert chip.crashes.last()["crash"] is None

    def broken(path: str) -> bytes:
        raise OSError(5)

    assert Crashes("crash.bin", broken, None, None).count == 0
    chip.flash.full = True
    die(chip)
    assert json.dumps(chip.crashes.last())
