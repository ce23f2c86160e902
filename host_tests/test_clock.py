"""device/clock.py in simulated time: wrapping ticks, stepping wall clocks, servers that stay away.

What is asked on real sockets is in test_time_servers.py.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from limpet.authority import BACKDATE, Authority
from upy import run

# Stands in for the module `time`, wrapping where the ESP32's ticks do. The chip's epoch is 2000.
CHIP = """
from device.clock import Clock
from node.version import EARLIEST

PERIOD = 1 << 30
FROM_2000 = 946684800

class Chip:
    def __init__(self, epoch=2000):
        self.real = 0
        self.epoch = epoch
        self.wall = 0 if epoch == 2000 else FROM_2000

    def pass_ms(self, ms):
        self.real += ms
        self.wall += ms / 1000

    def ticks_ms(self):
        return (self.real + PERIOD - 5000) % PERIOD

    def ticks_diff(self, a, b):
        return (a - b + PERIOD // 2) % PERIOD - PERIOD // 2

    def time(self):
        return int(self.wall)

    def gmtime(self, s):
        return (self.epoch, 1, 1, 0, 0, 0, 0, 1)

    def set(self, unix):
        self.wall = unix - (FROM_2000 if self.epoch == 2000 else 0)

chip = Chip()
"""

# Stands in for the module `socket`, and for the servers behind it: `dns` and `answers` say whether
# there are any, `unix` what time they tell. `looked_up` and `asked` are what was done, and when.
NET = (
    CHIP
    + """
import errno, gc, struct
from device.ntp import Ntp

gc.threshold(100_000)  # else what is kept lies scattered over the whole heap

class Net:
    SOCK_DGRAM = 2
    dns = answers = online = True
    unix = 1_900_000_000
    dns_ms = 0
    open = 0

    def __init__(self):
        self.looked_up = []
        self.asked = []

    def getaddrinfo(self, host, port, family, kind):
        self.looked_up.append((clock.now() // 1000, host))
        chip.pass_ms(self.dns_ms)
        if not self.dns:
            raise OSError(-202)
        return [(2, kind, 0, "", (host, port))]

    def socket(self, family, kind):
        self.open += 1
        return Socket()

class Socket:
    def setblocking(self, blocking):
        self.blocks = blocking

    def connect(self, address):
        if not net.online:
            raise OSError(errno.EHOSTUNREACH)
        self.host = address[0]

    def send(self, request):
        net.asked.append((clock.now() // 1000, self.host))
        self.request = request

    def recv(self, size):
        if self.blocks:
            raise ValueError("would block")
        if not net.answers:
            raise OSError(errno.EAGAIN)
        seconds = net.unix() if callable(net.unix) else net.unix
        seconds = (seconds + 2208988800) & 0xFFFFFFFF
        return struct.pack("!BB22s8s8sII", 0x24, 2, b"", self.request[40:], b"", seconds, 0)

    def close(self):
        net.open -= 1

chip = Chip()
net = Net()
lines = []

def log(area, words):
    lines.append(words)

def new(servers=("a", "b"), set_system=None, online=None, certificates=()):
    ntp = Ntp(online=online, urandom=lambda size: b"\\xff" * size, net=net)
    clock = Clock(1, ntp, set_system, chip)
    clock.start(servers, certificates, log)
    return clock

def passes(s):
    # As the main loop does: what asks to be called again is called then, and after 10 s at most.
    until = chip.real + s * 1000
    while chip.real < until:
        chip.pass_ms(max(1, min(clock.step(clock.now()), 10_000, until - chip.real)))

clock = new()
"""
)


def test_now_counts_on_over_the_wrap_of_ticks() -> None:
    """Over 60 days, visited every 3, `now` is what has passed; ticks wrap every 12.4 days."""
    script = """
clock = Clock(source=chip)
for _ in range(20):
    chip.pass_ms(3 * 86400 * 1000)
    clock.now()
print(clock.now() == chip.real == 60 * 86400 * 1000)
"""
    assert run(CHIP + script) == "True\n"


def test_step_of_the_wall_clock_moves_no_now() -> None:
    """Years forward and back change Unix time, and `now` not by a millisecond."""
    script = """
clock = Clock(source=chip)
for unix in (1_800_000_000, 0x7FFFFFFF, 1_700_000_000, 1_800_000_000):
    chip.set(unix)
    chip.pass_ms(1)
    print(clock.now(), clock.unix())
"""
    # 1.7e9 is before the firmware was written.
    assert run(CHIP + script) == "1 1800000000\n2 2147483647\n3 None\n4 1800000000\n"


def test_unix_time_is_the_same_from_either_epoch() -> None:
    """Chips that count from 2000 and from 1970 agree, and so does the interpreter."""
    script = """
for epoch in (2000, 1970):
    chip = Chip(epoch)
    clock = Clock(source=chip)
    print(clock.unix())
    chip.set(EARLIEST - 1)
    print(clock.unix())
    chip.set(EARLIEST)
    print(clock.unix() == EARLIEST)
import time
print(abs(Clock().unix() - time.time()) <= 1)
"""
    assert run(CHIP + script) == "None\nNone\nTrue\n" * 2 + "True\n"


def test_speed_holds_for_both_times_and_for_waiting() -> None:
    """At speed 20, one real second is 20 s of `now` and of Unix time, and waiting is a 20th."""
    script = """
chip.set(1_800_000_000)
clock = Clock(20, source=chip)
chip.pass_ms(1000)
print(clock.now(), clock.unix())
print(clock.real_ms(1000), clock.real_ms(1), clock.real_ms(0), clock.real_ms(41))
half = Clock(0.5, source=chip)
chip.pass_ms(10)
print(half.now(), half.real_ms(10), Clock(source=chip).real_ms(7))
"""
    assert run(CHIP + script) == "20000 1800000020\n50 1 0 3\n5 20 7\n"


def test_speed_of_nothing_is_refused() -> None:
    """A speed of 0 or less is a ValueError."""
    script = """
for speed in (0, -1):
    try:
        Clock(speed, source=chip)
        print("accepted")
    except ValueError:
        print("refused")
"""
    assert run(CHIP + script) == "refused\nrefused\n"


def test_system_that_looks_after_its_own_time_is_not_asked_about() -> None:
    """Without time servers there is nothing to wait for, even if the system knows no time."""
    script = """
clock = Clock(source=chip)
clock.start(["time.example"], ("no-such.der", None), None)
print(clock.sync(), clock.step(0) >= 10_000, clock.unix())
"""
    assert run(CHIP + script) == "True True None\n"


def test_silent_servers_are_asked_ever_more_rarely() -> None:
    """The pauses between rounds grow from 1 s to 10 minutes at most, and no step ever waits."""
    script = """
net.answers = False
passes(3 * 86400)
rounds = [at for at, host in net.asked if host == "a"]
print(*[b - a - 4 for a, b in zip(rounds, rounds[1:])])
print(len(net.asked) - 2 * len(rounds), net.open)
"""
    pauses, rest = run(NET + script).splitlines()
    grow = [2, 3, 5, 9, 17, 33, 65, 129, 257, 513]
    said = [int(pause) for pause in pauses.split()]
    assert len(said) > 400
    expected = grow + [600] * (len(said) - len(grow))
    assert all(abs(a - b) <= 2 for a, b in zip(said, expected, strict=True))
    assert rest == "0 0"


def test_pause_is_never_nothing() -> None:
    """However the dice fall, a round of failures is followed by a pause of a second at least."""
    script = """
ntp = Ntp([("a", 1)], urandom=lambda size: bytes(size), net=net)
clock = Clock(1, ntp, None, chip)
net.answers = False
passes(300)
print(*[b[0] - a[0] for a, b in zip(net.asked, net.asked[1:])])
"""
    assert min(int(gap) for gap in run(NET + script).split()) >= 3


def test_dns_that_blocks_is_asked_once_in_a_step_and_ever_more_rarely() -> None:
    """A look-up that takes 14 s and fails is followed by ten times as long without one; a whole
    round of them, in time, by longer.
    """
    script = """
net.dns = False
net.dns_ms = 14_000
steps = []
for _ in range(60):
    before = len(net.looked_up)
    wait = clock.step(0)
    steps.append(len(net.looked_up) - before)
    chip.pass_ms(wait)
print(max(steps), net.asked)
at = [at for at, host in net.looked_up]
print(*[b - a - 14 for a, b in zip(at[1::2], at[2::2])])
"""
    most, pauses = run(NET + script).splitlines()
    assert most == "1 []"
    said = [int(pause) for pause in pauses.split()]
    expected = [140, 140, 140, 140, 140, 140, 140, 140, 257, 513, 600]
    assert len(said) >= 10
    assert all(abs(a - b) <= 2 for a, b in zip(said, expected, strict=False))


def test_answer_ends_growing_pauses() -> None:
    """After an outage of a day and one answer, the next outage begins with short pauses again."""
    script = """
net.unix = lambda: 1_900_000_000 + chip.real // 1000
net.answers = False
passes(86400)
net.answers = True
passes(700)
print(lines[-1][:8])
net.answers = False
del net.asked[:]
passes(86400)
rounds = [at for at, host in net.asked][::2]
print(*[b - a - 4 for a, b in zip(rounds, rounds[1:4])])
"""
    said = run(NET + script).splitlines()
    assert said[0] == "set unix"
    assert max(int(pause) for pause in said[1].split()) <= 6


def test_config_names_the_servers_unless_the_board_does() -> None:
    """The config's hosts are asked at port 123 instead of the firmware's; LIMPET_NTP's stay."""
    script = """
import device.ntp
def first(servers, names):
    clock = Clock(1, Ntp(servers, net=net), None, chip)
    clock.start(names, (), log)
    del net.looked_up[:]
    net.dns = False
    for _ in range(3):
        clock.step(0)
    return [host for at, host in net.looked_up]
print(first(None, None) == list(device.ntp.SERVERS), first(None, ["x", "y", "z"]))
print(first([("board", 4123)], ["x"])[:1], lines[-1])
"""
    said = run(NET + script).splitlines()
    assert said == ["True ['x', 'y', 'z']", "['board'] no-answer server=board cause=dns"]


def test_address_is_kept_while_it_answers() -> None:
    """A week of daily checks takes one look-up; a server that fell silent is looked up again."""
    script = """
net.unix = lambda: 1_900_000_000 + chip.real // 1000
passes(7 * 86400)
print(net.looked_up, len(net.asked))
net.answers = False
passes(86400)
print([host for at, host in net.looked_up[1:4]])
"""
    assert run(NET + script).splitlines() == ["[(0, 'a')] 7", "['b', 'a', 'b']"]


def test_server_that_does_not_want_to_be_asked_is_left_alone_for_a_day() -> None:
    """After a kiss of death only the other server is asked, until a day has passed."""
    script = """
net.answers = False
real_recv = Socket.recv
def recv(self, size):
    if self.host != "a":
        return real_recv(self, size)
    return struct.pack("!BB22s8s16s", 0xE4, 0, b"", self.request[40:], b"")
Socket.recv = recv
passes(3 * 86400)
print(*[at for at, host in net.asked if host == "a"])
print(len(net.asked) > 100)
"""
    asked, rest = run(NET + script).splitlines()
    first, second, third = map(int, asked.split())
    assert first == 0
    assert 86400 <= second - first <= 87200
    assert 86400 <= third - second <= 87200
    assert rest == "True"


def test_nothing_is_asked_without_a_network_and_at_once_with_one() -> None:
    """While there is no network nothing is looked up; pauses that grew end when it is back."""
    script = """
net.online = False
clock = new(online=lambda: net.online)
passes(3600)
print(net.looked_up, net.asked, lines)
net.online = True
net.answers = False
passes(3600)
net.online = False
passes(2)
asked = len(net.asked)
net.online = net.answers = True
passes(1)
print(len(net.asked) - asked, lines[-1])
"""
    said = run(NET + script).splitlines()
    assert said == ["[] [] []", "1 set unix=1900000000 step_ms=0"]


def test_floor_is_set_when_no_server_answers() -> None:
    """After 20 s of asking the RTC is at the floor and TLS may try, but Unix time stays unknown."""
    script = """
def set_system(unix_ms):
    system.append((clock.now() // 1000, unix_ms))

system = []
net.answers = False
net.online = False
clock = new(set_system=set_system, online=lambda: net.online)
passes(100)
print(system, clock.sync())
net.online = True
passes(19)
print(system, clock.sync())
passes(2)
print(system[0][1] == EARLIEST * 1000, 120 <= system[0][0] <= 121, clock.sync(), clock.unix())
passes(3 * 86400)
print([at // 86400 for at, unix_ms in system], {unix_ms for at, unix_ms in system[1:]})
net.answers = True
passes(600)
print(system[-1][1] // 1000, clock.unix() - 1_900_000_000 < 600)
passes(2 * 86400)
print({unix_ms // 1000 for at, unix_ms in system[4:]}, clock.sync())
"""
    assert run(NET + script).splitlines() == [
        "[] False",
        "[] False",
        "True True True None",
        "[0, 1, 2, 3] {1767225600000}",
        "1900000000 True",
        "{1900000000} True",
    ]


def test_rtc_is_believed_after_a_reset_unless_it_is_the_floor() -> None:
    """An RTC within a day of the floor, before it or beyond 2100 is nobody's time; any other is."""
    script = """
DAY = 86400
net.answers = False
for unix in (FROM_2000, EARLIEST - 1, EARLIEST, EARLIEST + DAY - 1, EARLIEST + DAY, 4102444800):
    chip.set(unix)
    clock = new(set_system=lambda unix_ms: None)
    print(clock.unix() == unix, clock.unix() is None, clock.sync())
chip.set(1_900_000_123)
clock = new()
print(clock.unix())
"""
    assert run(NET + script).splitlines() == [
        "False True False",
        "False True False",
        "False True False",
        "False True False",
        "True False True",
        "False True False",
        "None",
    ]


def test_floor_is_the_node_s_own_certificate_s_date(tmp_path: Path) -> None:
    """The later one of its certificates' first dates is the floor, for the RTC and for servers."""
    ca = datetime(2027, 1, 1, 1, 2, 3, tzinfo=UTC)
    now = datetime(2028, 3, 1, 12, 34, 56, tzinfo=UTC)
    authority = Authority.new(now=ca)
    (tmp_path / "ca.der").write_bytes(authority.identity.der())
    (tmp_path / "cert.der").write_bytes(authority.client("node-1", now).der())
    script = """
system = []
net.unix = 1_830_000_000  # 2027-12-28
clock = new(set_system=system.append, certificates=("ca.der", "cert.der", None))
passes(30)
print(lines[0], system, clock.unix())
for path in ("ca.der", "cert.der", "none.der", None):
    print(issued(path))
"""
    floor = int((now - BACKDATE).timestamp())
    assert run(NET + "from device.dates import issued" + script, cwd=tmp_path).splitlines() == [
        f"no-answer server=a cause=absurd [{floor}000] None",
        str(int((ca - BACKDATE).timestamp())),
        str(floor),
        "0",
        "0",
    ]


def test_first_date_of_a_certificate_is_found() -> None:
    """Any second from 2000 to 2049 is read right, and what only looks like a date is not taken."""
    script = r"""
from device.dates import issued
import time

def read(der):
    with open("a.der", "wb") as file:
        file.write(der)
    return issued("a.der")

tag = b"\x17\x0d"
for n in range(1000):
    unix = 946_684_800 + n * 1_577_847
    y, *rest = time.gmtime(unix)[:6]
    text = b"%02d%02d%02d%02d%02d%02dZ" % tuple([y - 2000] + rest)
    if read(b"0" + tag + tag + b"2601" + tag + text + tag + b"491231235959Z") != unix:
        print(text)
for text in (b"", b"260101000000", b"260101000000+", b"2601010000xxZ", b"500101000000Z",
             b"260001000000Z", b"261301000000Z", b"260100000000Z", b"260132000000Z"):
    print(read(tag + text), end=" ")
print(read(b""), read(b"\x17"))
"""
    assert run(script) == "0 " * 10 + "0\n"


def test_rtc_is_set_to_the_millisecond() -> None:
    """The chip's RTC gets Unix time as a date, its weekday counted from Monday."""
    script = """
import sys
class machine:
    class RTC:
        def datetime(self, when):
            print(when)
sys.modules["machine"] = machine
from device.clock import set_rtc
set_rtc(1_900_000_000_042)
"""
    assert run(script) == "(2030, 3, 17, 6, 17, 46, 40, 42000)\n"


@pytest.mark.parametrize("days", [10, 40])
def test_readings_from_before_the_time_was_known_are_stamped_afterwards(days: int) -> None:
    """Ticks wrap every 12.4 days and servers are away for longer than ticks can count: afterwards
    each Reading's time is right, whenever it is sent, and the schedule never moved.
    """
    script = f"""
from node.reading import SIZE, pack_into
from node.sampler import Sampler
from node.telemetry import Telemetry

taken = []
telemetry = Telemetry("base", 1, 7, lambda: clock.unix())
sampler = Sampler(lambda: (244, 463), 7, 3_600_000, taken.append, print, lambda: clock.unix())
net.dns = False
start = 1_900_000_000
net.unix = lambda: start + chip.real // 1000
until = {days} * 86400 * 1000
while chip.real < until:
    now = clock.now()
    chip.pass_ms(max(1, min(sampler.step(now), clock.step(now), 600_000)))

def message(reading):
    buffer = bytearray(SIZE)
    pack_into(buffer, 0, reading)
    return telemetry.message_at(buffer, 0, clock.now())

print(clock.unix(), message(taken[0]), {{each.ts for each in taken}})
net.dns = True
while clock.unix() is None:
    chip.pass_ms(max(1, clock.step(clock.now())))
print(abs(clock.unix() - start - chip.real // 1000) <= 1)
wrong = 0
origins = set()
for index, reading in enumerate(taken):
    ts = int(message(reading).payload.split(b'"ts":')[1].split(b",")[0])
    wrong += not -1 <= ts - start - (1 + 3600 * index) <= 1
    origins.add(ts - reading.up)
    chip.pass_ms(7)
print(len(taken), wrong, len(origins), {{b.up - a.up for a, b in zip(taken, taken[1:])}})
"""
    assert run(NET + script).splitlines() == [
        "None None {None}",
        "True",
        f"{days * 24} 0 1 {{3600}}",
    ]
