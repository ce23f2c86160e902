"""A broker that is stricter than one: it raises Broken at the first packet that MQTT 3.1.1 or the
Outbox's promise does not allow. Its rules are numbered where they are checked. Both Pythons.
"""

import json
import struct

from support.fuzz.fuzz import Random
from support.simulated.lossy_network import Broken, Network

BASE = "limpet/home/desk/climate/node-1"
STATUS = BASE + "/status"
RESPONSES = BASE + "/commands/response"


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


class Broker(Network):
    """A broker at the end of the Network, with all the rules of what a client may send it."""

    def __init__(self, rng: Random, window: int) -> None:
        self._window = window
        self.arrived: set = set()  # names that the broker has got
        self.acknowledged: set = set()  # names whose PUBACK the client has taken
        self.dropped: set = set()  # names that the Outbox's bound has taken
        self.published = self.again = self.connections = 0
        self.source: object = None  # of what is sent now
        # Who is shown topic and payload, now and then: what is said is not looked at here.
        self.shown = lambda topic, payload: None
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
        if topic == STATUS or not self.published % 20:
            self.shown(topic, payload)
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
            # before all but the one before it, where that has to come again.
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
        """Packet id of the birth that has to come again: older ones are passed over."""
        newest = self._newest_birth  # an id that something else may have by now
        return [x for x in self._resume if x == newest and self._unacked[x][0] == STATUS]

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
