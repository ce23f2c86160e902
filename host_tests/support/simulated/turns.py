# mypy: ignore-errors
"""The whole node, as the guard joins it, over a stand-in for the socket, with a clock that jumps to
the next deadline: `TURNS` in the environment says what the world is like. MicroPython.

Prints how often the main loop turned in each minute and when telemetry was published (ms), as one
line of JSON, after so many minutes or when the node has left: Ctrl-C comes at `leave_at` (ms). A
loop that does not sleep ends it early. `stored`: so many Readings are on flash at boot.
"""

import json
import os

import laptop
import umqtt_tls
from board import network
from node.shared.reading import Reading
from recordlog import RecordLog
from support.parts.layouts import FOLDER, NOTE, SIZE, pack_into

settings = json.loads(os.getenv("TURNS"))
world = settings["world"]
_TOO_MANY = 3000  # in a minute


class Time:
    """The module `time` for a Clock."""

    ms = 0

    def ticks_ms(self):
        """What has passed."""
        return self.ms

    def ticks_diff(self, a, b):
        """Of two of them."""
        return a - b

    def time(self):
        """Seconds of the day."""
        return 1780000000 + self.ms // 1000

    def gmtime(self, seconds):
        """Unix time begins in 1970."""
        return (1970, 1, 1, 0, 0, 0, 3, 1)


class Socket:
    """In the place of the client's transport: a broker, or what stands where one should.

    worlds: up; refused; black-hole (TCP never comes through); silent (no CONNACK); slow (every
    PUBACK of telemetry takes 19 s); no-wifi; half (up, and nothing is heard after ten minutes).
    """

    addresses = ()  # none is left to be tried

    def __init__(self):
        self.close()

    def close(self):
        """Nothing is under way."""
        self.cause = None
        self.coming = []  # [when, bytes], in order

    def resolve(self, host, port):
        """At once."""

    def open(self):
        """As the world is."""
        if world == "refused":
            self.cause = "tcp-refused"

    def opened(self):
        """Whether TCP is through."""
        return world != "black-hole"

    def proven(self):
        """There is no other address."""

    def secure(self, context, name):
        """Without."""

    def write(self, data):
        """Answer it."""
        data = bytes(data)
        kind = data[0] >> 4
        if kind == 1 and world != "silent":
            self.say(b"\x20\x02\x00\x00")
        elif kind == 8:
            self.say(b"\x90\x03" + data[2:4] + b"\x01")
        elif kind == 12:
            self.say(b"\xd0\x00")
        elif kind == 3:
            self.published(data)
        return len(data)

    def published(self, data):
        """PUBACK, and the node's own status back."""
        at = 3 if data[1] & 128 else 2
        end = at + 2 + (data[at] << 8 | data[at + 1])
        topic = data[at + 2 : end]
        if data[0] & 6:
            late = 19000 if world == "slow" and topic.endswith(b"telemetry") else 0
            self.say(b"\x40\x02" + data[end : end + 2], late)
        if topic.endswith(b"telemetry"):
            published.append(clock.ms)
        if topic.endswith(b"/status"):
            body = data[at:end] + data[end + 2 :]
            self.say(b"\x30" + bytes((len(body) & 127 | 128, len(body) >> 7)) + body)

    def say(self, data, late=0):
        """Send it to the node."""
        if world != "half" or clock.ms < 600000:
            self.coming.append([clock.ms + 20 + late, data])

    def readinto(self, space):
        """What has come."""
        for index, (when, data) in enumerate(self.coming):
            if when <= clock.ms:
                self.coming.pop(index)
                space[: len(data)] = data
                return len(data)
        return None

    def wait(self, ms, to_write=False):
        """A turn is over: time goes on to the next deadline, or to what comes before it."""
        minute = clock.ms // 60000
        while len(turns) <= minute:
            turns.append(0)
        turns[minute] += 1
        if leave_at and clock.ms >= leave_at[0]:
            leave_at.clear()
            raise KeyboardInterrupt
        heard = False
        if self.coming:
            ahead = max(min([each[0] for each in self.coming]) - clock.ms, 0)
            heard, ms = ahead <= ms, min(ms, ahead)
        clock.ms += ms
        if clock.ms >= settings["minutes"] * 60000 or turns[minute] > _TOO_MANY:
            tell()
            laptop.end(0)
        return heard


def tell():
    """Say what was counted."""
    print("TURNS " + json.dumps({"turns": turns, "published": published}))


def store(count):
    """Have so many Readings of an earlier boot on flash, 10 s apart."""
    log = RecordLog(FOLDER, SIZE, count, note=NOTE)
    record = bytearray(SIZE)
    for seq in range(count):
        pack_into(record, 0, Reading(1, seq, 1770000000 + 10 * seq, 10 * seq, (244, 463)))
        log.append(record)


turns = []
published = []
leave_at = [settings["leave_at"]] if "leave_at" in settings else []
clock = laptop.clock._source = Time()
laptop.clock._ticks = laptop.clock._elapsed = 0
umqtt_tls.Transport = Socket
if world == "no-wifi":
    network.cause = "no-ap"
    network.due = 0
    type(network).run = lambda self, now: setattr(self, "due", now + 1000)

from device import guard  # noqa: E402 (after all was put in)

if "stored" in settings:
    store(settings["stored"])
guard.run()
tell()
