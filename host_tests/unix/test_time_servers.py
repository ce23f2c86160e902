"""device/ntp.py and the clock, under the real interpreter, against a real time server on loopback.

Ticks are a stand-in's, so that 2 s of silence take no time; packets and sockets are real.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from support.micropython.upy import run
from support.ntp_server import NtpServer, reply

NOW = 1_900_000_000

# `answered()` lets the node's time stand still until the log has a new line, `passes(ms)` lets it
# pass in steps of 100 ms.
SCRIPT = """
import socket, time
from device.clock import Clock
from device.ntp import Ntp
from sntp import request

class Chip:
    real = 0
    def ticks_ms(self):
        return self.real
    def ticks_diff(self, a, b):
        return a - b
    def time(self):
        return 0
    def gmtime(self, s):
        return (2000,)

lines = []
def log(area, words):
    lines.append(words)

def answered():
    before = len(lines)
    deadline = time.ticks_add(time.ticks_ms(), 10_000)
    while len(lines) == before and time.ticks_diff(deadline, time.ticks_ms()) > 0:
        look()
        time.sleep_ms(1)

def look():
    clock._ntp.due = 0  # whose socket is a real one, while the chip's time stands
    clock.run(0)

def turn():
    now = clock.now()
    if now >= clock.due:
        clock.run(0)
        assert clock.due > now

def passes(ms):
    for _ in range(ms // 100):
        turn()
        chip.real += 100
    turn()

def asks():
    look()  # looks up
    look()  # sends

chip = Chip()
servers = [("127.0.0.1", port) for port in PORTS]
clock = Clock(1, Ntp(servers), source=chip)
clock.start(None, (), log)
"""


def ask(script: str, *servers: NtpServer) -> list[str]:
    """Run a script that asks these servers; return its lines."""
    ports = f"PORTS = {[server.port for server in servers]}\n"
    return run(ports + SCRIPT + script).splitlines()


@pytest.fixture
def server() -> contextlib.AbstractContextManager[NtpServer]:
    """Make a server at NOW, which a test starts."""
    return NtpServer(lambda: NOW)


def test_time_is_the_servers(server: NtpServer) -> None:
    """The first step asks, and with the answer Unix time is the server's and goes on with `now`."""
    script = """
print(clock.unix(), clock.sync())
answered()
print(clock.unix(), clock.sync(), lines)
chip.real += 90_500
print(clock.unix(), clock.now())
"""
    with server:
        assert ask(script, server) == [
            "None False",
            f"{NOW} True ['set unix={NOW} step_ms=0']",
            f"{NOW + 90} 90500",
        ]
    assert len(server.requests) == 1


def test_no_two_requests_are_alike(server: NtpServer) -> None:
    """A request tells nothing of the node but a random number, a new one each time."""
    with server:
        ask("for _ in range(4):\n    answered()\n    chip.real += 86_400_000\n", server)
    assert len(set(server.requests)) == len(server.requests) == 4
    assert {(len(each), each[:40]) for each in server.requests} == {(48, b"\x23" + bytes(39))}


def test_next_server_after_two_seconds_of_silence(server: NtpServer) -> None:
    """A silent server has 2 s, not less; then the next one is asked and believed."""
    script = """
asks()
chip.real = 2000
look()
print(lines)
chip.real = 2001
look()
print(lines)
answered()
print(clock.unix())
"""
    with NtpServer(lambda: 0) as mute, server:
        mute.silent = True
        said = ask(script, mute, server)
    assert said == ["[]", "['no-answer server=127.0.0.1 cause=silent']", str(NOW)]
    assert len(mute.requests) == 1


def test_server_that_is_not_there_costs_no_time(server: NtpServer) -> None:
    """A closed port is known at once, and the next server is asked."""
    with NtpServer(lambda: 0) as gone:
        port = gone.port
    gone.port = port
    with server:
        said = ask(
            "answered()\nanswered()\nprint(lines[0], clock.now(), clock.unix())", gone, server
        )
    assert said == [f"no-answer server=127.0.0.1 cause=unreachable 0 {NOW}"]


@pytest.mark.parametrize(
    ("cause", "spoil"),
    [
        ("kiss", lambda request: reply(request, NOW, stratum=0)),
        ("unsynchronised", lambda request: reply(request, NOW, leap=3)),
        ("unsynchronised", lambda request: reply(request, NOW, stratum=16)),
        ("absurd", lambda request: reply(request, 1_500_000_000)),
        ("absurd", lambda request: reply(request, 4_102_444_800)),
    ],
    ids=["kiss of death", "leap 3", "stratum 16", "before the floor", "after 2100"],
)
def test_answer_that_is_refused(
    server: NtpServer, cause: str, spoil: Callable[[bytes], bytearray]
) -> None:
    """The answer sets nothing, is named in the log, and the next server is asked at once."""
    with NtpServer(lambda: NOW) as bad, server:
        bad.spoil = lambda packet: [spoil(bytes(40) + packet[24:32])]
        server.unix = lambda: NOW + 5
        said = ask(
            "answered()\nprint(clock.unix(), lines)\nanswered()\nprint(clock.unix())", bad, server
        )
    assert said == [f"None ['no-answer server=127.0.0.1 cause={cause}']", str(NOW + 5)]


def test_what_is_no_answer_is_passed_over(server: NtpServer) -> None:
    """Short packets, other requests' answers, broadcasts and requests do not hide the answer."""

    def noise(packet: bytearray) -> list[bytes | bytearray]:
        other = bytearray(packet)
        other[24] ^= 1
        kiss = bytearray(other)
        kiss[1] = 0
        broadcast = bytearray(packet)
        broadcast[0] = 0x25
        return [b"", b"x", packet[:47], other, kiss, broadcast, b"y" * 600, packet]

    with server:
        server.spoil = noise
        assert ask("answered()\nprint(clock.unix(), lines)", server) == [
            f"{NOW} ['set unix={NOW} step_ms=0']"
        ]


def test_answer_from_elsewhere_is_not_heard(server: NtpServer) -> None:
    """A right answer from another port counts as silence."""
    with server:
        server.elsewhere = True
        script = """
asks()
for _ in range(100):
    look()
    time.sleep_ms(1)
passes(2100)
print(clock.unix(), lines)
"""
        said = ask(script, server)
    assert said == ["None ['no-answer server=127.0.0.1 cause=silent']"]


def test_late_answer_is_not_taken_for_the_next(server: NtpServer) -> None:
    """What a server sends after its 2 s, or again, sets nothing."""
    held: list[bytearray] = []

    def hold(packet: bytearray) -> list[bytes | bytearray]:
        held.append(packet)
        return [held[0]] if len(held) == 2 else []

    with server:
        server.spoil = hold
        script = """
passes(2100)
while len(lines) < 2 and chip.real < 60_000:
    passes(100)
    time.sleep_ms(1)
print(clock.unix(), set(lines))
"""
        said = ask(script, server)
    assert said == ["None {'no-answer server=127.0.0.1 cause=silent'}"]


@pytest.mark.parametrize(("took_ms", "behind"), [(0, 0), (900, 0), (1100, 1), (1900, 1)])
def test_time_on_the_way_counts_half(server: NtpServer, took_ms: int, behind: int) -> None:
    """An answer that took 1.1 s is 0.55 s old; the difference to `now` is kept in whole seconds."""
    script = f"""
asks()
chip.real += {took_ms}
answered()
for chip.real in (1999, 2000, 2999, 3000):
    print(clock.unix())
"""
    with server:
        said = ask(script, server)
    assert said == [str(NOW + since - behind) for since in (1, 2, 2, 3)]


def test_resolver_that_is_dead_holds_nothing_up_for_long(server: NtpServer) -> None:
    """Look-ups that block and fail take a tenth of the time at most, however many servers there
    are; ones that fail at once are not put off.
    """
    script = """
class DeadResolver:
    looked_up = 0
    takes_ms = 7000
    def getaddrinfo(self, *_):
        self.looked_up += 1
        chip.real += self.takes_ms
        raise OSError(-202)
    SOCK_DGRAM = socket.SOCK_DGRAM
net = DeadResolver()
for net.takes_ms in (7000, 0):
    net.looked_up = 0
    chip = Chip()
    clock = Clock(1, Ntp([("a", 1), ("b", 1), ("c", 1)], net=net), source=chip)
    clock.start(None, (), log)
    while chip.real < 600_000:
        passes(100)
    print(net.looked_up * net.takes_ms <= 66_000, net.looked_up >= 8)
"""
    assert ask(script, server) == ["True True", "True True"]


def test_drift_is_checked_daily(server: NtpServer) -> None:
    """A day after an answer, not before, the same server is asked, and the drift is corrected."""
    script = """
answered()
chip.real += 86_399_900
turn()
print(clock.due - clock.now(), len(lines), clock.unix())
chip.real += 100
answered()
print(lines[1], clock.unix())
"""
    with server, NtpServer(lambda: 0) as other:
        times = iter([NOW, NOW + 86_398])
        server.unix = lambda: next(times)
        said = ask(script, server, other)
    assert said == [
        f"100 1 {NOW + 86_399}",
        f"set unix={NOW + 86_398} step_ms=-2000 {NOW + 86_398}",
    ]
    assert not other.requests


@pytest.mark.parametrize("hours", [1, -1, 24 * 365])
def test_step_of_the_servers_time_is_confirmed_first(server: NtpServer, hours: int) -> None:
    """A step by hours is asked about again 16 s later, at the next server, and then taken; no step
    moves `now`.
    """
    script = """
answered()
chip.real = 86_400_000
answered()
print(lines[1], clock.unix())
passes(15_900)
print(len(lines))
passes(200)
answered()
print(lines[2], clock.now())
"""
    day, step_s = NOW + 86_400, 3600 * hours
    with server, NtpServer(lambda: day + 16 + step_s) as other:
        times = iter([NOW, day + step_s])
        server.unix = lambda: next(times)
        said = ask(script, server, other)
    assert said == [
        f"doubt unix={day + step_s} step_ms={1000 * step_s} {day}",
        "2",
        f"set unix={day + 16 + step_s} step_ms={1000 * step_s} 86416100",
    ]


def test_server_that_is_hours_off_is_outvoted(server: NtpServer) -> None:
    """When the next server agrees with the clock, one that is hours off changes nothing."""
    script = """
answered()
chip.real = 86_400_000
answered()
chip.real += 16_000
answered()
print(lines[1:], clock.unix())
"""
    with server, NtpServer(lambda: NOW + 86_416) as other:
        times = iter([NOW, NOW])
        server.unix = lambda: next(times)
        said = ask(script, server, other)
    lines = [f"doubt unix={NOW} step_ms=-86400000", f"set unix={NOW + 86_416} step_ms=0"]
    assert said == [f"{lines} {NOW + 86_416}"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("LIMPET_NTP", "127.0.0.1"),
        ("LIMPET_NTP", "127.0.0.1:1,:2"),
        ("LIMPET_NTP", "127.0.0.1:0"),
        ("LIMPET_NTP", "127.0.0.1:65536"),
        ("LIMPET_NTP_CHECK", "0"),
        ("LIMPET_NTP_CHECK", "1.5"),
    ],
)
def test_laptop_refuses_a_setting_that_names_no_server(setting: str, value: str) -> None:
    """A bad list of servers, or a bad pause, is exit code 78 and a line that names the variable."""
    settings = {"LIMPET_NTP": "127.0.0.1:123", setting: value}
    said = run("import board", env=settings, exit_code=78)
    assert said.startswith(f"{setting}={value} is no ")
    assert said.count("\n") == 1


def test_who_asks_is_let_go_of_until_the_next_day(server: NtpServer) -> None:
    """Once an answer was taken nothing of it is in memory; a day later it is loaded and asks."""
    script = """
import sys
from device.time_servers import TimeServers, unimport
unimport("device.ntp", "sntp")
chip = Chip()
clock = Clock(1, TimeServers(servers=servers), source=chip)
clock.start(None, (), log)
def there():
    return [name in sys.modules for name in ("device.ntp", "sntp")]
asks()
print(there())
answered()
print(clock.unix(), there())
chip.real += 86_399_000
turn()
print(there())
chip.real += 2000
answered()  # that no time has passed, which has to be said twice
print(lines[-1].split()[0], there())
chip.real += 16_000
answered()
print(lines[-1].split()[0], there())
"""
    with server:
        assert ask(script, server) == [
            "[True, True]",
            f"{NOW} [False, False]",
            "[False, False]",
            "doubt [True, True]",
            "set [False, False]",
        ]
    assert len(server.requests) == 3
