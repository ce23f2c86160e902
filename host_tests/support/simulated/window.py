"""The client, the Link and the Outbox over a model of network and broker, in simulated time.

`python window.py random SECONDS SEEDS FIRST` lets everything go wrong that may, then checks that
every Reading and Response has arrived; `python window.py steady SECONDS` publishes one Reading per
second. Runs under both Pythons; a folder in the working folder is the node's flash.

The model is stricter than a broker: it raises Broken at the first packet that MQTT 3.1.1 or the
Outbox's promise does not allow. Its rules are numbered where they are checked.
"""

import json
import os
import struct
import sys

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from backoff import Backoff
from node.readings.outbox import Live, Messages
from node.readings.telemetry import Telemetry
from node.reporting.status import Status
from node.session.causes import FLOORS_MS
from node.session.link import Link
from node.shared.pairs import Pairs
from node.shared.reading import SIZE, Reading, unpack_from
from recordlog import RecordLog
from ring import Ring
from support.fuzz.fuzz import Random, held
from support.parts.backlogs import backlog
from transport import TransportError
from umqtt_tls import MQTTClient

BASE = "limpet/home/desk/climate/node-1"
STATUS = BASE + "/status"
TELEMETRY = BASE + "/telemetry"
RESPONSES = BASE + "/commands/response"
BOOT = 7
NOW_S = 1780000000


class Broken(Exception):
    """The client, the Link or the Outbox has done what it must not."""


def parsed(packet: bytes) -> tuple:
    """Return first byte, topic, packet id and payload of a PUBLISH."""
    at = 3 if packet[1] & 128 else 2
    end = at + 2 + (packet[at] << 8 | packet[at + 1])
    topic = str(packet[at + 2 : end], "utf-8")
    packet_id = packet[end] << 8 | packet[end + 1]
    return packet[0], topic, packet_id, packet[end + 2 :]


def names(topic: str, payload: bytes) -> list:
    """Return what a payload carries: numbers of Readings, or minus the number of a Response."""
    if topic == STATUS:
        return []
    said = json.loads(payload)
    if topic == RESPONSES:
        return [-said["id"]]
    count = len(said["temperature"]) if "dt" in said else 1
    return list(range(said["seq"], said["seq"] + count))


class Network:
    """A transport: what is written arrives later, in pieces, or never. `take(packet)` is called
    for what has come to the other end, `say(data, longest)` sends something back.

    trouble: how often in 1000 something goes wrong where it can; 0 is a perfect world.
    """

    addresses = ()  # there is one, and no other

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.trouble = 0
        self.now = 0
        self.close()

    def strikes(self, weight: int = 1) -> bool:
        """Whether something goes wrong now."""
        return self.trouble > 0 and self.rng.below(1000) < self.trouble * weight

    def resolve(self, host: str, port: int) -> None:
        """DNS fails now and then."""
        if self.strikes():
            raise TransportError("dns")

    def open(self) -> None:
        """Nobody listens now and then."""
        if self.strikes(3):
            raise TransportError("tcp-refused")

    def opened(self) -> bool:
        """At once."""
        return True

    def proven(self) -> None:
        """Nothing changes."""

    def close(self) -> None:
        """All that is under way is lost."""
        self._closed = False
        self._up: list = []  # [when, packet]
        self._down: list = []  # [when, bytes]
        self._rest = 0  # bytes of the newest packet that were not taken yet
        self._packet = b""

    def wait(self, real_ms: int, to_write: bool = False) -> None:
        """Time is the test's."""

    def write(self, data: bytes) -> "int | None":
        """Take a packet, a part of it, or nothing; or break."""
        if not self._rest:
            self._packet = bytes(data)
            self._rest = len(data)
            self.check(self._packet)  # what was attempted counts, whatever becomes of it
        elif bytes(data) != self._packet[-self._rest :]:
            raise Broken("a write that was not taken must be repeated with the same bytes")
        if self.strikes():
            raise TransportError("closed")
        if self.strikes(20):
            return None
        taken = self._rest
        if taken > 1 and self.strikes(20):
            taken = 1 + self.rng.below(taken - 1)
        self._rest -= taken
        if not self._rest:
            self._up.append([self.now + self._delay(50), self._packet])
        return taken

    def readinto(self, space: memoryview) -> "int | None":
        """Give a packet that has come, or a piece of it; or break."""
        if self.strikes() or self._closed:
            raise TransportError("closed")
        while self._up and self._up[0][0] <= self.now:
            self.take(self._up.pop(0)[1])
        for index, each in enumerate(self._down):
            if each[0] <= self.now:
                data = each[1]
                count = 1 if self.strikes(20) else len(data)
                each[1] = data[count:]
                self._down.pop(index)
                if each[1]:
                    self._down.insert(0, [0, each[1]])  # the rest of it before all others
                space[:count] = data[:count]
                return count
        return None

    def due(self) -> "int | None":
        """When something gets where it goes; None: nothing is under way."""
        times = [each[0] for each in self._up + self._down]
        return min(times) if times else None

    def say(self, data: bytes, longest: int = 50) -> None:
        """Send `data` to the client; it takes up to `longest` ms, and may overtake."""
        self._down.append([self.now + self._delay(longest), data])

    def _delay(self, longest: int) -> int:
        return self.rng.below(longest) if self.trouble else 0

    def check(self, packet: bytes) -> None:
        """Look at a packet that is about to go out."""

    def take(self, packet: bytes) -> None:
        """Look at a packet that has arrived."""


class Broker(Network):
    """A broker at the end of the Network, with all the rules of what a client may send it."""

    def __init__(self, rng: Random, window: int) -> None:
        self._window = window
        self.arrived: set = set()  # names that the broker has got
        self.acknowledged: set = set()  # names whose PUBACK the client has taken
        self.dropped: set = set()  # names that the Outbox's bound has taken
        self.published = self.again = self.connections = 0
        self.source: object = None  # of what is sent now
        self.packet_max = 1 << 20  # a longer PUBLISH ends the connection
        self._kept = False  # whether there is a session
        self._unacked: dict = {}  # of the session: packet id -> (topic, payload)
        self._order: list = []  # its keys, in the order of their first sending
        self._newest_birth = 0  # packet id
        super().__init__(rng)

    def close(self) -> None:
        """The connection is over; the session may outlive it."""
        super().close()
        self._flying: dict = {}  # packet id -> names, of what waits for its PUBACK or SUBACK
        self._resume: list = []  # packet ids that have to come first, with DUP
        self._present = self._said_present = False
        self._doubtful: set = set()  # names in flight when a session was lost
        self._last: dict = {}  # source -> the last of those that it has sent again

    # -- what the client may send ------------------------------------------------------------------

    def check(self, packet: bytes) -> None:
        """Raise Broken if the client must not send this now."""
        kind = packet[0] >> 4
        if kind == 3:
            self._check_publish(packet)
        elif kind == 8:
            self._take_id(packet[2] << 8 | packet[3], [])

    def _take_id(self, packet_id: int, carried: list) -> None:
        # 1. Section 2.3.1: not 0, and none that waits for its answer.
        if not packet_id or packet_id in self._flying:
            raise Broken(f"packet id {packet_id} of {carried}")
        self._flying[packet_id] = carried

    def _check_publish(self, packet: bytes) -> None:
        head, topic, packet_id, payload = parsed(packet)
        carried = names(topic, payload)
        self.published += 1
        self._take_id(packet_id, carried)
        # 2. The window; each of two SUBSCRIBEs may wait beside it.
        if len(self._flying) > self._window + 2:
            raise Broken("window")
        # 3. What was acknowledged is not sent again.
        if any(each in self.acknowledged for each in carried):
            raise Broken(f"sent after its PUBACK: {carried}")
        if head & 8:
            self.again += 1
            self._check_dup(packet_id, topic, payload)
        elif packet_id in self._resume:
            raise Broken(f"packet id {packet_id} has to come again")
        else:
            # 5. With a session, nothing new comes before what was in flight; a birth may come
            # before all but the one before it.
            while self._resume and (topic != STATUS or self._births()):
                self._pass_over(self._resume[0])
            self._check_order(carried)
            self._forget(packet_id)
            if topic == STATUS:
                self._newest_birth = packet_id
            self._unacked[packet_id] = (topic, payload)
            self._order.append(packet_id)

    def _check_dup(self, packet_id: int, topic: str, payload: bytes) -> None:
        # 4. DUP only with a session that was resumed, the same words under the same id, and in the
        # order in which they were sent first (section 4.6).
        if not self._present or self._unacked.get(packet_id) != (topic, payload):
            raise Broken(f"DUP {packet_id}")
        while self._resume[0] != packet_id:
            self._pass_over(self._resume[0])
        self._resume.pop(0)

    def _pass_over(self, packet_id: int) -> None:
        # What the bound has taken from the Outbox cannot come again; and of several births only the
        # newest may, acknowledged or not, as what is retained last counts.
        topic, payload = self._unacked[packet_id]
        older = topic == STATUS and packet_id != self._newest_birth
        if not older and not self.dropped.intersection(names(topic, payload)):
            raise Broken(f"{packet_id} is passed over")
        self._resume.remove(packet_id)
        if older:
            self._forget(packet_id)

    def _births(self) -> list:
        """Packet ids of the births that have to come again."""
        return [each for each in self._resume if self._unacked[each][0] == STATUS]

    def _forget(self, packet_id: int) -> None:
        if packet_id in self._unacked:
            del self._unacked[packet_id]
            self._order.remove(packet_id)

    def _check_order(self, carried: list) -> None:
        # 6. Without a session, each source sends again in its own order.
        for each in carried:
            if each in self._doubtful:
                if abs(each) < self._last.get(self.source, 0):
                    raise Broken(f"{each} after {self._last}")
                self._last[self.source] = abs(each)

    def wrapped(self) -> int:
        """As if 65,000 ids had been used since: what was late has come. Return an id that is still
        in flight, which the client must pass over; 0: there is none.
        """
        if self._resume or self._rest or self._up or any(when == 0 for when, _ in self._down):
            return 0  # not in the middle of anything
        late, self._down, seen = self._down, [], set()
        for each in late:
            packet_id = each[1][2] << 8 | each[1][3] if each[1][:2] == b"\x40\x02" else 0
            if packet_id == 0 or (packet_id in self._flying and packet_id not in seen):
                self._down.append(each)
            seen.add(packet_id)
        return min(self._flying, default=0)

    # -- what the client is told -------------------------------------------------------------------

    def greeted(self, present: bool) -> None:
        """The client takes itself for connected."""
        # 7. Whether there is a session is what the broker says.
        if present != self._said_present:
            raise Broken(f"session present: {present}")
        self.connections += 1
        self._present = present
        if present:
            self._resume = list(self._order)
        else:
            for topic, payload in self._unacked.values():
                self._doubtful.update(names(topic, payload))
            self._unacked = {}
            self._order = []

    def confirmed(self, packet_id: int) -> None:
        """The client takes this as acknowledged."""
        carried = self._flying.pop(packet_id)
        if not all(each in self.arrived for each in carried):
            raise Broken(f"confirmed before it arrived: {carried}")
        self.acknowledged.update(carried)
        self._forget(packet_id)

    # -- the broker --------------------------------------------------------------------------------

    def take(self, packet: bytes) -> None:
        """Answer a packet, more or less."""
        kind = packet[0] >> 4
        if kind == 1:
            self._take_connect(bool(packet[9 if packet[1] < 128 else 10] & 2))
        elif kind == 8:
            self._flying.pop(packet[2] << 8 | packet[3], None)
            self.say(b"\x90\x03" + packet[2:4] + b"\x01")
        elif kind == 12:
            self.say(b"\xd0\x00")
        elif kind == 3:
            self._take_publish(packet)

    def _take_connect(self, clean: bool) -> None:
        if self.strikes(3):
            return self.say(b"\x20\x02\x00\x03")
        if clean or self.strikes(30):
            self._kept = False
        self._said_present = self._kept
        self.say(bytes((0x20, 2, self._kept, 0)))
        self._kept = not clean
        return None

    def _take_publish(self, packet: bytes) -> None:
        if len(packet) > self.packet_max:
            self._closed = True
            return
        _, topic, packet_id, payload = parsed(packet)
        self.arrived.update(names(topic, payload))
        if self.strikes():
            return  # never acknowledged
        answer = b"\x40\x02" + struct.pack(">H", packet_id)
        self.say(answer, 3000 if self.strikes(20) else 100)
        if self.strikes(20):
            self.say(answer, 3000)
        if self.strikes(20):
            # For nothing: an id that is far from those in use.
            self.say(b"\x40\x02" + struct.pack(">H", (packet_id + 30000) % 65536), 3000)
        if topic == STATUS and not self.strikes():
            body = struct.pack(">H", len(topic)) + topic.encode() + payload
            self.say(b"\x31" + bytes((len(body) & 127 | 128, len(body) >> 7)) + body)


class WatchedLog(RecordLog):
    """A log that tells the Broker which Readings its bound takes."""

    broker: Broker
    _seqs: dict

    def append(self, records: bytes, count: int = 1) -> None:
        """As the RecordLog's."""
        for index in range(count):
            self._seqs[self.next + index] = unpack_from(records, index * SIZE).seq
        super().append(records, count)

    def drop_oldest(self) -> None:
        """As the RecordLog's."""
        first = self.first
        super().drop_oldest()
        self.broker.dropped.update([self._seqs[each] for each in range(first, self.first)])


class WatchedLink(Link):
    """A Link that tells the Broker what it is about to do."""

    broker: Broker

    def _send(self, source, found, packet_id):  # type: ignore[no-untyped-def]
        self.broker.source = source
        return super()._send(source, found, packet_id)

    def _on_up(self, session_present: bool) -> None:
        self.broker.greeted(session_present)
        super()._on_up(session_present)

    def _on_ack(self, packet_id: int) -> None:
        self.broker.confirmed(packet_id)
        super()._on_ack(packet_id)


class Bystander:
    """A Board whose network and time are always there, and a ladder that nobody climbs."""

    cause = None

    @property
    def network(self) -> "Bystander":
        """The network."""
        return self

    clock = network

    def sync(self) -> bool:
        """The time is known."""
        return True

    def failed(self, cause: str) -> None:
        """It is not the time's fault."""

    def idf_heap(self) -> None:
        """No chip's."""

    def step(self, now: int) -> bool:
        """Usable."""
        return True

    def up(self, now: int, outage: "dict | None") -> None:
        """Not interested."""

    def down(self, now: int, cause: str) -> None:
        """Not interested."""


class World:
    """A node without sensor and Commands, its Broker, and their common time."""

    def __init__(
        self, seed: int, window: int, commit_s: int, ring: int, capacity: int, rate: int
    ) -> None:
        self.now = 0
        self.seq = self.responses_made = 0
        self.rng = Random(seed)
        self.broker = Broker(self.rng, window)
        telemetry = Telemetry(BASE, 1, BOOT, None)
        log = WatchedLog("readings", SIZE, capacity)
        log.broker, log._seqs = self.broker, {}
        self.backlog = backlog(log, telemetry.batch_at, rate)
        self.live = Live(Ring(SIZE, ring), self.backlog, telemetry.message_at, commit_s)
        store = Pairs("responses", lambda path, how: None, lambda path, *pieces: None)
        self.responses = Messages(24, store, commit_s)
        status = Status(BASE, BOOT, "0.1.0", "hard", lambda: self.now)
        self.client = client = MQTTClient("node-1", "broker", window=window)
        client._transport = self.broker  # type: ignore[assignment]
        client.on_message = status.on_message
        client.subscribe(STATUS, 1)
        client.subscribe(BASE + "/commands", 1)
        sources = (status, self.responses, self.live, self.backlog)
        backoff = Backoff(lambda: self.rng.below(1000) / 1000, floors_ms=FLOORS_MS)
        self.downs: dict = {}
        other = Bystander()
        self.link = WatchedLink(
            *(client, other, sources, backoff, lambda *words: None, self.downs),
            *(lambda alert, raised: None, other),
        )
        self.link.broker = self.broker

    def take_reading(self) -> None:
        """Put the next Reading in."""
        ts = NOW_S + self.now // 1000
        self.live.put(Reading(BOOT, self.seq, ts, self.now // 1000, 244, 463))
        self.seq += 1

    def make_response(self) -> None:
        """Put a Response in, if there is room for it."""
        if self.responses.queued < 8:
            self.responses_made += 1
            self.responses.put(RESPONSES, b'{"id":%d}' % self.responses_made)

    def step(self, until: int) -> None:
        """Let the node do what it can now, and time pass to what comes next, at most `until`."""
        self.broker.now = self.now
        for _ in range(1000):
            wait = self.link.step(self.now)
            if wait > 0:
                break
        else:
            raise Broken(f"busy in state {self.client.state}")
        due = self.broker.due()
        ahead = self.now + wait if due is None else min(self.now + wait, max(due, self.now + 1))
        self.now = min(ahead, until)

    def settle(self) -> None:
        """In a perfect world all is delivered, within ten minutes."""
        self.broker.trouble = 0
        deadline = self.now + 600000
        while self.live.queued or self.backlog.queued or self.responses.queued:
            if self.now >= deadline:
                raise Broken(f"left: {self.live.queued} {self.backlog.queued}")
            self.step(deadline)
        wanted = set(range(self.seq)) | {-n - 1 for n in range(self.responses_made)}
        lost = wanted - self.broker.acknowledged
        if lost - self.broker.dropped or self.live.dropped:
            raise Broken(f"lost: {sorted(lost - self.broker.dropped)}")
        if self.broker.arrived - wanted:
            raise Broken(f"made up: {sorted(self.broker.arrived - wanted)}")


def random(seconds: int, seeds: int, first: int) -> None:
    """Run as many worlds, with seeds from `first` on."""
    for seed in range(first, first + seeds):
        print("seed", seed)
        os.mkdir(f"seed-{seed}")
        os.chdir(f"seed-{seed}")
        troubled(seconds, seed)
        os.chdir("..")


def troubled(seconds: int, seed: int) -> None:
    """Run `seconds` in which trouble comes and goes, and settle."""
    rng = Random(seed)
    window = (1, 2, 8, 32)[rng.below(4)]
    commit_s = (0, 2, 10, 100000)[rng.below(4)]
    ring = 8192 if commit_s == 100000 else 64
    capacity, rate = (8192, 128)[rng.below(2)], (0, 5, 50)[rng.below(3)]
    world = World(seed, window, commit_s, ring, capacity, rate)
    world.broker.packet_max = (1 << 20, 1024, 600, 300)[rng.below(4)]
    print(f"window={window} commit_s={commit_s} capacity={capacity} rate={rate}", end=" ")
    print(f"packet_max={world.broker.packet_max}")
    world.client.pid = 65000 + rng.below(536)  # so that ids wrap
    next_reading = next_weather = 0
    while world.now < seconds * 1000:
        if world.now >= next_weather:
            world.broker.trouble = (0, 1, 5, 20, 60)[rng.below(5)]
            next_weather = world.now + 1000 + rng.below(60000)
            world.client.pid = (world.broker.wrapped() or world.client.pid + 1) - 1
        if world.now >= next_reading:
            world.take_reading()
            next_reading = world.now + 200 + rng.below(2000)
            if not rng.below(10):
                world.make_response()
        world.step(min(next_reading, next_weather))
    world.settle()
    broker = world.broker
    print(
        f"readings={world.seq} published={broker.published} again={broker.again}"
        f" connections={broker.connections} commits={world.backlog.commits}"
        f" dropped={world.backlog.dropped}"
    )


def steady(seconds: int) -> None:
    """Publish one Reading per second: each arrives at once, once, and leaves nothing behind."""
    world = World(1, 8, 2, 64, 8192, 0)
    kept = 0
    for second in range(seconds):
        world.take_reading()
        while world.now < second * 1000 + 1000:
            world.step(second * 1000 + 1000)
        if second == seconds // 10:
            kept = held()
        # Sets of all that ever was would be slow, and grow.
        arrived = world.broker.arrived
        if len(arrived) != 1 or second not in arrived or world.broker.acknowledged != arrived:
            raise Broken(f"second {second}: {arrived}")
        arrived.clear()
        world.broker.acknowledged.clear()
    kept = held() - kept
    published = world.broker.published
    print(f"published={published} wraps={published // 65535} downs={len(world.downs)} kept={kept}")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[2:]]
    if sys.argv[1] == "random":
        random(*numbers)
    else:
        steady(*numbers)
