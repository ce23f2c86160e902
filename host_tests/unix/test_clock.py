"""device/clock.py in simulated time: wrapping ticks, stepping wall clocks, servers that stay away.

What is asked on real sockets is in test_time_servers.py.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from limpet.identity.authority import BACKDATE, CA_VALID, CLIENT_VALID, Authority
from support.micropython.upy import run

# Stands in for the module `time`, wrapping where the ESP32's ticks do. The chip's epoch is 2000.
CHIP = """
from device.clock import Clock
from node.shared.version import EARLIEST

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
    silent = ()
    says = {}  # host -> its time, where that is not `unix`
    names = {}  # host -> its addresses, where it has not just one; None is one of IPv6

    def __init__(self):
        self.looked_up = []
        self.asked = []

    def getaddrinfo(self, host, port, family, kind):
        self.looked_up.append((clock.now() // 1000, host))
        chip.pass_ms(self.dns_ms)
        if not self.dns:
            raise OSError(-202)
        found = self.names.get(host, (host,))
        return [(2, kind, 0, "", name and (name, port)) for name in found]

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
        if not net.answers or self.host in net.silent:
            raise OSError(errno.EAGAIN)
        seconds = net.says.get(self.host, net.unix)
        if callable(seconds):
            seconds = seconds()
        seconds = (seconds + 2208988800) & 0xFFFFFFFF
        return struct.pack("!BB22s8s8sII", 0x24, 2, b"", self.request[40:], b"", seconds, 0)

    def close(self):
        net.open -= 1

chip = Chip()
net = Net()
lines = []

def log(area, words):
    lines.append(words)

def new(servers=("a", "b"), set_system=None, online=None, certificates=(), wait_s=600):
    ntp = Ntp(online=online, urandom=lambda size: b"\\xff" * size, net=net)
    clock = Clock(1, ntp, set_system, chip)
    clock.start(servers, certificates, log, wait_s)
    return clock

def passes(s):
    # As the main loop does, which sleeps for 10 s at most.
    until = chip.real + s * 1000
    while chip.real < until:
        chip.pass_ms(max(1, min(turn(), 10_000, until - chip.real)))

def turn(which=None):
    # Give the clock its turn, if it is due; return how long until the next one.
    which = which or clock
    now = which.now()
    if which.due is not None and now >= which.due:
        which.run(now)
        assert which.due is None or which.due > now
    return 600_000 if which.due is None else max(0, which.due - which.now())

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
clock.run(0)
print(clock.sync(), clock.due >= 10_000, clock.unix())
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
    wait = turn()
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
    while len(net.looked_up) < 3:
        chip.pass_ms(turn(clock))
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
clock.due = 0  # as the Link has it
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
from device.dates import span
for paths in (("ca.der",), ("cert.der",), ("cert.der", "ca.der"), ("none.der", None)):
    print(*span(paths, 0))
"""
    floor = int((now - BACKDATE).timestamp())
    begun, end = int((ca - BACKDATE).timestamp()), int((ca + CA_VALID).timestamp())
    mine = int((now + CLIENT_VALID).timestamp())
    assert run(NET + script, cwd=tmp_path).splitlines() == [
        f"no-answer server=a cause=absurd [{floor}000] None",
        f"{begun} {end}",
        f"{floor} {mine}",
        f"{floor} {mine}",
        "0 4102444800",
    ]


def test_dates_of_a_certificate_are_found() -> None:
    """Any second from 2000 to 2049, as the last one to 2099, is read right, and what only looks
    like a date is not taken; a last one that is none, or in another century, bounds nothing.
    """
    script = r"""
from device.dates import span
import time

def both(der):
    with open("a.der", "wb") as file:
        file.write(der)
    return span(("a.der",), 0)

def read(der):
    return both(der)[0]

tag = b"\x17\x0d"
for n, text in enumerate(DATES):
    unix = 946_684_800 + n * 3_155_000
    if text >= b"2050":
        break
    text = text[2:]
    if both(b"0" + tag + tag + b"2601" + tag + text + tag + b"491231235959Z") != (
        unix, 2_524_607_999
    ):
        print(text)
first = tag + b"260101000000Z"
for n, text in enumerate(DATES):
    unix = 946_684_800 + n * 3_155_000
    text = tag + text[2:] if text < b"2050" else b"\x18\x0f" + text
    if both(first + text + tag + b"300101000000Z") != (1_767_225_600, unix):
        print(text)
for text in (b"", tag, tag + b"500101000000Z", b"\x18\x0f99991231235959Z", b"\x18\x0f20991231"):
    print(both(first + text) == (1_767_225_600, 4_102_444_800), end=" ")
for text in (b"", b"260101000000", b"260101000000+", b"2601010000xxZ", b"500101000000Z",
             b"260001000000Z", b"261301000000Z", b"260100000000Z", b"260132000000Z"):
    print(read(tag + text), end=" ")
print(read(b""), read(b"\x17"))
"""
    # Reckoned here: on 32 bits MicroPython's own time.gmtime ends in 2038.
    moments = [datetime.fromtimestamp(946_684_800 + n * 3_155_000, UTC) for n in range(1000)]
    dates = [moment.strftime("%Y%m%d%H%M%SZ").encode() for moment in moments]
    assert run(f"DATES = {dates}\n{script}") == "True " * 5 + "0 " * 10 + "0\n"


def test_rtc_is_set_to_the_millisecond() -> None:
    """The chip's RTC gets Unix time as a date, its weekday counted from Monday."""
    script = """
import sys
class machine:
    PWRON_RESET, HARD_RESET, WDT_RESET, DEEPSLEEP_RESET, SOFT_RESET = range(1, 6)
    class RTC:
        def datetime(self, when):
            print(when)
sys.modules["machine"] = machine
from device.esp32_board import set_rtc
set_rtc(1_900_000_000_042)
"""
    assert run(script) == "(2030, 3, 17, 6, 17, 46, 40, 42000)\n"


@pytest.mark.parametrize("days", [10, 40])
def test_readings_from_before_the_time_was_known_are_stamped_afterwards(days: int) -> None:
    """Ticks wrap every 12.4 days and servers are away for longer than ticks can count: afterwards
    each Reading's time is right, whenever it is sent, and the schedule never moved.
    """
    script = f"""
from support.parts.layouts import LAYOUT, SIZE, pack_into
from dht22 import DHT22
from node.readings.sampler import Sampler
from node.readings import batches
from node.readings.telemetry import Telemetry

taken = []
clock = new(wait_s={days} * 86400)
telemetry = Telemetry("base", 1, 7, clock, LAYOUT)

def always(pin, buffer):
    buffer[:] = b"\\x01\\xcf\\x00\\xf4\\xc4"

told = (taken.append, lambda *_: None, lambda *_: None, telemetry)
sampler = Sampler((DHT22(None, always),), 7, 3_600_000, clock, told)
net.dns = False
start = 1_900_000_000
net.unix = lambda: start + chip.real // 1000
until = {days} * 86400 * 1000
while chip.real < until:
    now = clock.now()
    if now >= sampler.due:
        sampler.run(now)
    chip.pass_ms(max(1, min(sampler.due - now, turn(), 600_000)))

def message(reading):
    buffer = bytearray(SIZE)
    pack_into(buffer, 0, reading)
    if not telemetry.timed(buffer, 0):
        return None
    packet = bytearray()
    telemetry.write(packet, buffer, 0, clock.now())
    return bytes(packet)

print(clock.unix(), message(taken[0]), {{each.ts for each in taken}})
net.dns = True
while clock.unix() is None:
    chip.pass_ms(max(1, turn()))
print(abs(clock.unix() - start - chip.real // 1000) <= 1)
wrong = 0
origins = set()
for index, reading in enumerate(taken):
    ts = int(message(reading).split(b'"ts":')[1].split(b",")[0])
    wrong += not -1 <= ts - start - (1 + 3600 * index) <= 1
    origins.add(ts - reading.up)
    chip.pass_ms(7)
# The first one of a boot comes 2 s after its slot: it is asked about again.
print(len(taken), wrong, len(origins), {{b.up - a.up for a, b in zip(taken[1:], taken[2:])}})
"""
    assert run(NET + script).splitlines() == [
        "None None {None}",
        "True",
        f"{days * 24} 0 1 {{3600}}",
    ]


# --- whom to believe ------------------------------------------------------------------------------

# The certificates' validity ends in 2038, and a server says 2090.
DOUBT = (
    NET
    + """
Y2090 = 3_786_912_000
net.says = {"a": Y2090}

class Broker:
    # An MQTTClient as far as the clock knows it.
    subscribed = ()
    def subscribe(self, topic):
        self.subscribed += (topic,)
    def on_message(self, *message):
        lines.append("passed on %s" % message[0])
    def says(self, payload, retained=False, topic="org/time"):
        self.on_message(topic, payload, retained, False)

broker = Broker()
system = []
def certified(*servers):
    global clock
    clock = new(servers, system.append, certificates=("cert.der",))
    clock.broker = broker, "org/time"
"""
)


@pytest.fixture
def certified(tmp_path: Path) -> Path:
    """Make a folder with a node's certificate in it, of 2028."""
    now = datetime(2028, 3, 1, tzinfo=UTC)
    der = Authority.new(now=now).client("node-1", now).der()
    (tmp_path / "cert.der").write_bytes(der)
    return tmp_path


def test_first_answer_counts_within_the_certificates_validity(certified: Path) -> None:
    """2090 is doubted though it is the first answer, and sets neither clock nor RTC; a server whose
    answer lies within the validity is believed at once.
    """
    script = """
certified("a", "b")
passes(10)
print(lines, clock.unix(), system)
passes(10)
print(lines[1:], [unix_ms // 1000 for unix_ms in system])
"""
    assert run(DOUBT + script, cwd=certified).splitlines() == [
        "['doubt unix=3786912000 step_ms=0'] None []",
        "['set unix=1900000000 step_ms=0'] [1900000000]",
    ]


def test_time_beyond_the_validity_counts_when_two_servers_agree(certified: Path) -> None:
    """Once the node's certificate has really expired, its clock is right all the same."""
    script = """
net.says["b"] = lambda: Y2090 + chip.real // 1000
certified("a", "b")
passes(20)
print(lines, clock.unix() - Y2090 == chip.real // 1000)
"""
    assert run(DOUBT + script, cwd=certified).splitlines() == [
        f"{['doubt unix=3786912000 step_ms=0', 'set unix=3786912016 step_ms=0']} True"
    ]


def test_server_that_is_alone_proves_nothing_by_saying_it_again(certified: Path) -> None:
    """2090 is never believed of the only server, which is asked ever more rarely; TLS goes on from
    the floor, and the first answer within the validity is believed.
    """
    script = """
net.says = {"a": lambda: Y2090 + chip.real // 1000}
certified("a")
passes(2 * 86400)
print(clock.unix(), clock.sync(), {unix_ms // 1000 for unix_ms in system} == {clock._ntp.earliest})
gaps = [b[0] - a[0] for a, b in zip(net.asked, net.asked[1:])]
print(min(gaps), max(gaps[:4]) < 20, min(gaps[20:]), len(net.looked_up))
del net.says["a"]
passes(700)
print(lines[-1])
"""
    first, gaps, last = run(DOUBT + script, cwd=certified).splitlines()
    assert first == "None True True"
    least, soon, later, looked_up = gaps.split()
    assert int(least) >= 16
    assert (soon, looked_up) == ("True", "1")
    assert int(later) >= 600
    assert last == "set unix=1900000000 step_ms=0"


def test_broker_is_a_second_opinion_and_no_first(certified: Path) -> None:
    """What the broker says makes a doubted answer count, to within a minute; it sets no clock that
    no server has answered, is not heard when retained or no time, and other topics are passed on.
    """
    script = """
def says(unix, **how):
    broker.says(b'{"v":1,"ts":%d}' % unix, **how)
    print(clock.unix(), lines[-1])

certified("a")
net.answers = False
passes(60)
print(broker.subscribed)
net.answers = True
passes(60)
print(broker.subscribed)
says(1_900_000_000)
says(Y2090 - 100)
says(Y2090, retained=True)
says(Y2090, topic="org/site/commands")
for payload in (None, b"", b"{}", b'{"ts":}', b'{"ts":-786912000}', b'{"ts":123}', b"378" * 999):
    broker.says(payload)
print(clock.unix())
began = chip.real
says(Y2090 + 30)
print(system[-1] // 1000 == clock.unix(), broker.subscribed)
passes(3 * 86400)
says(1_900_000_000)
"""
    said = run(DOUBT + script, cwd=certified).splitlines()
    assert said[:6] == [
        "()",
        "('org/time',)",
        *["None doubt unix=3786912000 step_ms=0"] * 3,
        "None passed on org/site/commands",
    ]
    assert said[6] == "None"
    assert re.fullmatch(r"37869120\d\d set unix=37869120\d\d step_ms=0", said[7])
    assert said[8] == "True ('org/time',)"
    assert said[9].startswith("378")


def test_rtc_beyond_the_certificates_validity_is_not_believed(certified: Path) -> None:
    """What an earlier boot has left in the RTC must lie within the validity, too."""
    script = """
for unix in (1_900_000_000, 2_153_000_000):
    chip.set(unix)
    certified("a")
    print(clock.unix())
"""
    assert run(DOUBT + script, cwd=certified).splitlines() == ["1900000000", "None"]


def test_certificate_that_is_refused_for_its_dates_has_another_server_asked(
    certified: Path,
) -> None:
    """After `certificate-expired` the next server is asked at once, and its answer counts though it
    moves the clock by years; not again within 10 minutes, and for no other cause.
    """
    script = """
from device.time_servers import TimeServers
net.says = {"a": lambda: 2_100_000_000 + chip.real // 1000}
net.unix = lambda: 1_900_000_000 + chip.real // 1000
clock = Clock(1, TimeServers(urandom=lambda size: b"\\xff" * size, net=net), None, chip)
clock.start(("a", "b"), ("cert.der",), log)
passes(5)
print(lines[-1].split()[1])
for cause in ("tls-refused", "certificate-untrusted", "dns", "closed"):
    clock.failed(cause)
passes(60)
print([host for at, host in net.asked])
for cause in ("certificate-expired", "certificate-expired", "certificate-not-yet-valid"):
    clock.failed(cause)
    passes(1)
print(lines[-1].split()[1:], [host for at, host in net.asked])
passes(600)
clock.failed("certificate-not-yet-valid")
passes(1)
print(lines[-1].split()[2:], [host for at, host in net.asked])
"""
    first, others, second, third = run(DOUBT + script, cwd=certified).splitlines()
    assert first == "unix=2100000000"
    assert others == "['a']"
    assert second == "['unix=1900000065', 'step_ms=-200000000000'] ['a', 'b']"
    # Asked again, the first server is believed again: somebody has to be, and TLS has refused both.
    assert third == "['step_ms=200000000000'] ['a', 'b', 'a']"


def test_refused_certificate_ends_a_pause(certified: Path) -> None:
    """Where servers were silent for long and the pauses are long, they are asked at once."""
    script = """
from device.time_servers import TimeServers
net.answers = False
clock = Clock(1, TimeServers(urandom=lambda size: b"\\xff" * size, net=net), None, chip)
clock.start(("a", "b"), ("cert.der",), log)
passes(86400)
while net.asked[-1][0] > clock.now() // 1000 - 10:
    passes(10)
asked = len(net.asked)
net.answers = True
clock.failed("certificate-not-yet-valid")
passes(1)
print(len(net.asked) - asked, lines[-1], net.open)
"""
    assert run(DOUBT + script, cwd=certified) == "1 set unix=1900000000 step_ms=0 0\n"


# --- no time --------------------------------------------------------------------------------------

ALARMS = """
alarms = []
def alarmed(clock):
    clock.alarm = lambda *change: alarms.append((clock.now() // 1000,) + change)
    return clock
"""


def test_time_that_stays_away_is_given_up_and_said(tmp_path: Path) -> None:
    """From the first try on Readings wait as long as the config says; then they go out as those of
    earlier boots do, and `no-time` is raised, until a server answers.
    """
    script = """
from node.shared.reading import Reading
from support.parts.layouts import LAYOUT, SIZE, pack_into
from node.readings import batches
from node.readings.telemetry import Telemetry

net.answers = net.online = False
clock = alarmed(new(online=lambda: net.online, wait_s=900))
telemetry = Telemetry("base", 1, 7, clock, LAYOUT)
buffer = bytearray(2 * SIZE)
for seq in (0, 1):
    pack_into(buffer, seq * SIZE, Reading(7, seq, None, 10 + 10 * seq, (244, 463)))

def payloads():
    if not telemetry.timed(buffer, 0):
        return [None, None]
    one, two = bytearray(), bytearray()
    telemetry.write(one, buffer, 0, clock.now())
    batches.write(two, telemetry, buffer, 2, clock.now(), False)
    return [bytes(one), bytes(two)]

passes(2000)  # without a network there is nobody to wait for
print(alarms)
net.online = True
passes(899)
print(alarms, payloads())
passes(2)
print([alarm[1:] for alarm in alarms])
for payload in payloads():
    print(payload.decode())
passes(3 * 86400)
net.answers = True
passes(600)
print([alarm[1:] for alarm in alarms], alarms[0][0])
print(payloads()[0].split(b",")[3] == b'"ts":%d' % (clock.unix() - clock.now() // 1000 + 10))
"""
    assert run(NET + ALARMS + script).splitlines() == [
        "[]",
        "[] [None, None]",
        "[('no-time', True)]",
        '{"v":1,"boot":7,"seq":0,"ts":null,"up":10,"temperature":24.4,"humidity":46.3}',
        '{"v":1,"boot":7,"seq":0,"ts":null,"up":10,"dt":10,'
        '"temperature":[24.4,24.4],"humidity":[46.3,46.3]}',
        "[('no-time', True), ('no-time', False)] 2900",
        "True",
    ]


def test_time_that_is_known_clears_what_an_earlier_boot_has_raised() -> None:
    """`no-time` is told to be over once, as soon as the time is known, whoever has raised it."""
    script = """
clock = alarmed(new())
passes(86400)
print(alarms)
chip.set(1_900_000_000)
del alarms[:]
clock = alarmed(Clock(source=chip))
clock.start(None, (), log)
for _ in range(3):
    turn()
print(alarms)
"""
    assert run(NET + ALARMS + script).splitlines() == ["[(0, 'no-time', False)]"] * 2


def test_system_without_time_is_given_up_too() -> None:
    """Where the system looks after its time and knows none, it is the same; it is looked at every
    minute.
    """
    script = """
clock = alarmed(Clock(source=chip))
clock.start(None, (), log, 100)
waits = [turn()]
chip.pass_ms(99_000)
waits.append(turn())
chip.pass_ms(1_000)
waits.append(turn())
print(waits, alarms, clock.given_up)
chip.set(1_900_000_000)
chip.pass_ms(60_000)
turn()
print(alarms[1:], clock.given_up)
"""
    assert run(NET + ALARMS + script).splitlines() == [
        "[60000, 1000, 60000] [(100, 'no-time', True)] True",
        "[(160, 'no-time', False)] False",
    ]


@pytest.mark.parametrize("when", ["loaded", "asked"])
def test_heap_without_room_for_the_clock_has_a_deadline_and_a_cause(when: str) -> None:
    """Where the code that asks does not fit, or runs out of memory while it asks, that is said each
    minute and is no bug: TLS goes on from the floor after 20 s, and `no-time` is raised in time.
    """
    script = """
from device.time_servers import TimeServers
short = True
class Short(TimeServers):
    def _loaded(self):
        if short and WHEN == "loaded":
            raise MemoryError
        ntp = super()._loaded()
        if short:
            listen = ntp._listen
            def fails(now):
                if short:
                    raise MemoryError
                return listen(now)
            ntp._listen = fails
        return ntp

system = []
clock = alarmed(Clock(1, Short(net=net), system.append, chip))
clock.start(("a", "b"), (), log)
passes(19)
print(clock.sync(), system, set(lines))
passes(2)
print(clock.sync(), len(system))
passes(599)
print(alarms, lines.count("no-answer cause=memory"), net.open)
short = False
passes(61)
print(lines[-1], [alarm[1:] for alarm in alarms], net.open)
"""
    assert run(NET + ALARMS + f"WHEN = {when!r}\n" + script).splitlines() == [
        "False [] {'no-answer cause=memory'}",
        "True 1",
        "[(600, 'no-time', True)] 11 0",
        "set unix=1900000000 step_ms=0 [('no-time', True), ('no-time', False)] 0",
    ]


# --- where a server is ----------------------------------------------------------------------------


def test_second_address_of_a_server_is_asked_in_the_next_round() -> None:
    """An address that is silent hides no other of the same name; the name is looked up again when
    none is left.
    """
    script = """
net.names = {"a": ("a1", "a2", "a3")}
net.silent = ("a1", "a2")
clock = new(servers=("a",))
passes(60)
print([host for at, host in net.asked], len(net.looked_up), lines[-1])
net.silent = ("a1", "a2", "a3")
del net.asked[:], net.looked_up[:]
clock = new(servers=("a",))
passes(60)
print([host for at, host in net.asked][:5], len(net.looked_up) > 1)
"""
    assert run(NET + script).splitlines() == [
        "['a1', 'a2', 'a3'] 1 set unix=1900000000 step_ms=0",
        "['a1', 'a2', 'a3', 'a1', 'a2'] True",
    ]


def test_name_with_addresses_of_ipv6_alone_is_not_found() -> None:
    """Where the chip hands over no address of an IPv6 one, that is `dns`, and the next is asked; a
    name with both is asked at the other.
    """
    script = """
net.names = {"a": (None,), "b": (None, "b4")}
passes(10)
print(lines, net.asked)
"""
    assert run(NET + script).splitlines() == [
        "['no-answer server=a cause=dns', 'set unix=1900000000 step_ms=0'] [(0, 'b4')]"
    ]
