# mypy: ignore-errors
"""The whole node, as guard and app.py build it, with one part more in its loop, which measures.

It reaches the others by what app.py hands to the Supervisor, and past their interfaces: what is
measured is to be the node that is there, without a word in it for the bench.
"""

import gc
import time

import laptop

try:
    from node.shared import reading
    from node.system import supervisor
except ImportError:  # a version from before the groups
    from node import reading, supervisor

gc.collect()
_before = gc.mem_alloc()
from bench_common import device_id, payload, say, settings, topic  # noqa: E402 (what is here is no part of the node)

_NEVER = 1 << 29  # ms: six days. More than 30 bits would be objects on the heap of a 32-bit node
_still = settings.get("still")
_SETTLED_MS = 200  # the echo of the birth has been acknowledged meanwhile


class Part:
    """Run beside the others, before the Link. Made by app.py's call, so there is one.

    Where the clock is to be still it stands while somebody answers, and jumps to the next deadline
    else. So each run is like the others, and nothing is due sooner because the machine is busy.
    """

    def __init__(self, link, sleep, watched):
        self.link = link
        self.client = getattr(link, "client", None) or link._client
        self.sampler = dict(watched)["sampler"]
        self.sources = getattr(link, "sources", None) or link._sources
        self.live, self.backlog = [
            each for each in self.sources if type(each).__name__ in ("Live", "Backlog")
        ]
        self._sleep = sleep
        self._busy = 0
        # Of what is put. A boot of the length of others' payload; or its own, as it is in a node's
        # life. An older sampler leaves the line of the log to whom it hands the Reading.
        self.boot = self.sampler._boot if settings.get("own_boot") else 1
        self._ts = int(time.time())
        self._values = (244, 452) + (-250,) * settings.get("sensors", "").count(",")
        if not hasattr(reading, "SIZE"):  # else a version from before Readings of any fields
            self._values = (self._values,)
        self._logged = settings.get("logged", True) and hasattr(self.sampler, "encode")
        self.turns = 0
        self.due = 0
        self.wish = None

    def quiet(self):
        """No Readings but those that are put."""
        self.sampler._slot = self.sampler._ready = self.sampler.due = _NEVER

    def put(self, number, now):
        """A Reading, as if the sensor had given it; as long in a Message as the others' payload."""
        sampler, up = self.sampler, now // 1000
        taken = reading.Reading(self.boot, 10000 + number, self._ts, up, *self._values)
        sampler._on_reading(taken)
        if self._logged:
            sampler._log("sampler", "reading", sampler.encode.words(taken))
        return taken

    def settled(self, now):
        """Whether the node is up, its birth has come back, and all has been quiet for a while."""
        if self.busy() or not self.sure():
            self._busy = now
        return now - self._busy > _SETTLED_MS

    def sure(self):
        """Whether the birth of this connection has come back."""
        status = self.sources[0]
        try:
            return status.connection.echoed
        except AttributeError:  # a version in which the status itself held that
            return status._echoed

    def flying(self):
        """Whether a Message waits for its PUBACK."""
        held = getattr(self.client, "_connection", self.client)  # once the client held all that
        return bool(held and held._in_flight)

    def busy(self):
        """Whether the node waits for an answer."""
        held = getattr(self.client, "_connection", self.client)
        if self.client.state != "up":
            return True
        return bool(held._in_flight or held._out or held._ping_sent is not None)

    def sleep(self, real_ms):
        """Sleep as the Link does, and count."""
        self.turns += 1
        patience_ms = self.patience_ms()
        if patience_ms is not None:
            self.due = 0
            real_ms = min(real_ms, patience_ms)
        if not _still:
            return self._sleep(real_ms)
        if self.flying():
            heard = self._sleep(real_ms)  # until its PUBACK comes
            if not heard:
                laptop.clock._source.ms += 1  # which is how soon a part may be due again
            return heard
        # An answer comes; a Message that is none could, where something is not as it should be.
        patience_ms = min(real_ms, 20000 if self.busy() else 20)
        began = time.ticks_ms()
        heard = self._sleep(patience_ms)
        if time.ticks_diff(time.ticks_ms(), began) >= patience_ms:
            laptop.clock._source.ms += real_ms
        return heard

    def patience_ms(self):
        """How long to wait at most until it looks again; None: it need not look in the next turn,
        which is to be like one without it.
        """
        return _NEVER if _still else 50

    def run(self, now):
        """Look at what there is to look at; nothing is due by itself."""
        self.due = None
        self.quiet()
        self.look(now)

    def step(self, now):
        """The same, for a version from before parts were due."""
        self.run(now)
        if self.due is not None:
            return max(self.due - now, 0)
        return _NEVER if _still else 50

    def asked_to_leave(self):
        """Nobody asks: `end` is the end."""

    def end(self, **results):
        """Say what was measured, and end at once: a goodbye would be measured, too."""
        say(**results)
        laptop.end(0)


class Flood(Part):
    """`count` Readings, never more than `ahead` of them not acknowledged."""

    # What looks is counted with the node, so it has to be short: it is due when one has arrived.
    taken = arrived = 0
    began = None

    def sleep(self, real_ms):
        """Once it has begun the clock stands, and nothing is waited for but what arrives."""
        if self.began is None:
            return super().sleep(real_ms)
        self.turns += 1
        heard = self._sleep(real_ms)
        if _still and not heard:
            laptop.clock._source.ms += 1  # which is how soon a part may be due again
        return heard

    def run(self, now):
        """Put what may be put, or end."""
        if self.began is None:
            super().run(now)
            return
        self.due = None
        count = self.arrived + settings["ahead"]
        while self.taken < count and self.taken < settings["count"]:
            self.put(self.taken, now)
            self.taken += 1
        if self.arrived == self.taken:
            took = time.ticks_diff(time.ticks_us(), self.began)
            self.end(s=took / 1e6, turns=self.turns)

    def look(self, now):
        """Begin once all is quiet."""
        if not self.settled(now):
            return
        told = getattr(self.client, "owner", self.client)
        on_ack = told.on_ack

        def counted(packet_id):
            self.arrived += 1
            self.due = 0
            on_ack(packet_id)

        told.on_ack = counted
        self.began = time.ticks_us()
        self.turns = 0
        self.due = now + 1


class Drain(Part):
    """Whatever is on flash is sent and acknowledged."""

    began = None

    def look(self, now):
        """From CONNACK until nothing is left."""
        if self.client.state == "up" and self.began is None:
            self.began = time.ticks_us()
        if self.began is not None and not self.backlog.queued:
            self.end(s=time.ticks_diff(time.ticks_us(), self.began) / 1e6)


class Boot(Part):
    """The node's own first Reading is taken and acknowledged."""

    def quiet(self):
        """The sensor is asked."""

    def look(self, now):
        """Whether it is there."""
        if self.sampler.reads and not self.live.queued:
            self.end(at=time.time(), handshake_s=self.client.handshake_took_ms / 1000)


class Full(Part):
    """The heap of a node that is up, with its ring full; after a Command, where that is asked."""

    asked = False

    def look(self, now):
        """Fill it once all else is over."""
        if not self.settled(now) or now < 1500:
            return
        if settings.get("command") and not self.asked:
            self.asked = True
            self._busy = now
            to = f"limpet/home/desk/climate/{device_id}/commands"
            self.client.on_message(to, b'{"id":"bench-1","action":"get_status"}', False, False)
        else:
            for number in range(64):
                self.put(number, now)
            gc.collect()
            self.end(heap=gc.mem_alloc() - _ours)


class Idle(Part):
    """Nothing happens for `seconds`."""

    began = None

    def patience_ms(self):
        """For the end."""
        if self.began is None or laptop.clock.now() - self.began >= settings["seconds"] * 1000:
            return super().patience_ms()
        return None

    def look(self, now):
        """Whether it is over."""
        if self.began is None and self.settled(now):
            self.began = now
            self.turns = 0
        if self.began is not None and now - self.began >= settings["seconds"] * 1000:
            self.end(turns=self.turns)


class Profile(Part):
    """What is named, `count` times over, in a node that is up and has nothing else to do."""

    # Asked for by name, so on a chip they keep theirs.
    WHAT = "nothing turn others link_run client_step asked taken logged made sent"

    def look(self, now):
        """Do it, once all is quiet."""
        if self.settled(now):
            self.reading = self.put(0, now)  # for what looks at one
            if settings["what"] in ("asked", "logged") and not hasattr(self.sampler, "encode"):
                self.end(lacks="sampler that is asked, and logs, by itself")
            what = getattr(self, settings["what"])
            what(now)  # what is loaded for the first is not counted
            left = 0
            if settings.get("garbage"):
                gc.collect()
                gc.disable()
                left = gc.mem_alloc()
            for _ in range(settings["count"]):
                what(now)
            if left:
                left = gc.mem_alloc() - left
            self.end(left=left, count=settings["count"])

    def nothing(self, now):
        """What the others have to be compared with."""

    def turn(self, now):
        """All that the Supervisor does in a turn, but for sleeping."""
        loop, _, watched, watchdog, asked = self.joined
        if hasattr(loop, "step"):
            self.others(now)
            loop.step(self.link, now)
        for each in asked:
            if hasattr(each, "asked_to_leave"):  # a version from before there was `wish`
                each.asked_to_leave()
            else:
                each.wish  # noqa: B018 - what the Supervisor looks at
        if hasattr(loop, "_progress"):  # versions in which that was a function
            loop._progress(watched, now)
        elif hasattr(supervisor, "_stuck"):
            supervisor._stuck(watched, now)
        else:
            for _, each in watched:
                each.overdue(now)
        watchdog.feed()

    def others(self, now):
        """The parts beside the Link, each of them, due or not."""
        loop, others = self.joined[:2]
        for each in others:
            if hasattr(loop, "step"):
                loop.step(each, now)
            elif each.due is not None:
                each.run(now)

    def link_run(self, now):
        """The Link, with its sources and the client."""
        if hasattr(self.link, "step"):
            self.link.step(now)
        else:
            self.link.run(now)

    def client_step(self, now):
        """The client, which looks at its socket and its deadlines."""
        self.client.step(now)

    def asked(self, now):
        """The sampler asks its sensors, and nobody takes the Reading."""
        import bench_garbage

        bench_garbage.alone(self.sampler, now)

    def taken(self, now):
        """A Reading is taken: Outbox, and who has asked for one."""
        self.sampler._on_reading(self.reading)

    def logged(self, now):
        """A Reading becomes a line of the log."""
        self.sampler._log("sampler", "reading", self.sampler.encode.words(self.reading))

    def made(self, now):
        """A Reading becomes a Message."""
        self.live.peek(now)
        if hasattr(self.live, "write"):
            packet = self.client.begin(topic)
            self.live.write(packet)
            self.client._packet = packet  # as if it had been sent

    def sent(self, now):
        """A Message becomes a packet and a TLS record."""
        self.client.send(topic, payload, 0)


class JumpingTime:
    """The module `time` for a Clock; `ms` is moved from outside."""

    ms = 0
    ticks_diff = staticmethod(time.ticks_diff)
    gmtime = staticmethod(time.gmtime)

    def __init__(self):
        self._since = int(time.time())

    def ticks_ms(self):
        """Milliseconds since it was made."""
        return self.ms

    def time(self):
        """Seconds of the day."""
        return self._since + self.ms // 1000


PARTS = {
    "flood": Flood,
    "drain": Drain,
    "boot": Boot,
    "full": Full,
    "idle": Idle,
    "profile": Profile,
}


class Driven(supervisor.Supervisor):
    """The Supervisor, with the part that measures."""

    def run(self, link, sleep, others, watched, watchdog, asked):
        """Run with one part more."""
        do = settings["do"]
        made = PARTS[do] if do in PARTS else __import__("bench_" + do).part(Flood)
        part = made(link, sleep, watched)
        part.joined = (self, others, watched, watchdog, asked)
        # MicroPython has no (*others, part).
        others += (part,)
        asked += (part,)
        return super().run(link, part.sleep, others, watched, watchdog, asked)


if _still:
    laptop.clock._source = JumpingTime()
    laptop.clock._ticks = 0

supervisor.Supervisor = Driven
_pad = bytearray(settings.get("pad", 0))
# What lies between the holes, of so many bytes, that an earlier life of the heap has left.
_kept = [bytearray(settings["holes"]) for _ in range(40)][::2] if settings.get("holes") else None
_ours = guard = None  # in the table of names already, which may grow for them
gc.collect()
_ours = gc.mem_alloc() - _before
from device import guard  # noqa: E402, F811 (after the Supervisor was put in)

guard.run()
