"""Cases of node/readings/{backlog,way}.py: which topic batches go to, and what is sent again.

A broker that acknowledges and drops what its rules do not name must cost nothing but time.
"""

import json
import sys

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from node.readings.backlog import Backlog
from node.readings.telemetry import Telemetry
from node.shared.reading import Reading
from support.parts.backlogs import Limits, backlog
from support.parts.due import Message, given, peeked, run_due
from support.parts.layouts import LAYOUT, SIZE, pack_into
from support.parts.records import Log

BOOT = 7
T0 = 1780000000
LIVE, OWN = "base/telemetry", "base/telemetry/backlog"
ECHO_MS = 10000


class Client:
    """Keeps what it is subscribed to."""

    def __init__(self) -> None:
        self.topics: list = []
        self.state = "up"

    def subscribe(self, topic: str, qos: int) -> None:
        """Have it."""
        assert topic.startswith(OWN)
        assert qos == 1
        assert topic not in self.topics
        self.topics.append(topic)

    def unsubscribe(self, topic: str) -> None:
        """Have it no more."""
        self.topics.remove(topic)


class Broker:
    """What stands between a Backlog of `count` Readings and a consumer. `hears`: whether its rules
    know the topic that batches have. `got` counts how often each Reading came to the consumer.
    """

    def __init__(self, count: int, hears: bool = True) -> None:
        self.hears = hears
        self.log = Log()
        self.client = Client()
        encode = Telemetry("base", 1, BOOT, None, LAYOUT)
        self.source: Backlog = backlog(self.log, encode, batch_max=4)
        self.source.client = self.client
        self.now = 0
        self.got: dict = {}
        self.sent: list = []  # [topic, seq, how many] of what is in flight, with its key
        self.ways: list = []  # (topic, how many) of all that was sent
        self.echoes: list = []
        records = bytearray(SIZE * count)
        for seq in range(count):
            taken = Reading(BOOT, seq, T0 + 10 * seq, 10 * seq, (seq, 0))
            pack_into(records, seq * SIZE, taken)
        self.source.append(bytes(records), 0)

    def pump(self, most: int = 4) -> int:
        """Let the node send, up to `most` in flight; how many it did."""
        number = 0
        while len(self.sent) < most:
            found = peeked(self.source, self.now)
            if found is None:
                break
            key, message = found
            self.source.sent(key)
            self.take(key, message)
            number += 1
        self.now += 2
        return number

    def take(self, key: int, message: Message) -> None:
        """Look at what came: arrays on the topic of batches, always."""
        topic, payload, qos = message
        said = json.loads(payload)
        many = "dt" in said
        assert topic in (LIVE, OWN)
        assert many or topic == LIVE
        assert qos == 1
        seqs = [said["seq"] + n for n in range(len(said["temperature"]) if many else 1)]
        self.ways.append((topic, len(seqs)))
        self.sent.append((key, topic, seqs, payload))

    def acknowledge(self, number: int = 1) -> None:
        """Acknowledge the oldest, pass on what the rules know, and echo it to who asked for it."""
        for _ in range(number):
            key, topic, seqs, payload = self.sent.pop(0)
            if topic == LIVE or self.hears:
                for seq in seqs:
                    self.got[seq] = self.got.get(seq, 0) + 1
                if topic in self.client.topics:
                    self.echoes.append(payload)
            self.source.done(key)

    def echo(self) -> None:
        """Let what is echoed come."""
        for payload in self.echoes:
            self.source.on_message(OWN, payload, False, False)
        self.echoes = []

    def reconnect(self, kept: bool, doubtful: bool = False, alone: bool = False) -> None:
        """Break the connection, and come back; a session that is kept has the same sent again."""
        flight, self.sent, self.echoes = self.sent, [], []
        self.client.state = "down"
        self.source.rewind()
        assert not self.client.topics
        run_due(self.source, self.now)
        self.client.state = "up"
        self.source.began(kept, doubtful, alone)
        run_due(self.source, self.now)
        self.now += 300
        for key, topic, seqs, payload in flight if kept else ():
            assert self.source.ready
            again, message = given(self.source, self.now)
            assert (again, message.topic, message.payload) == (key, topic, payload)
            self.source.sent(key)
            self.sent.append((key, topic, seqs, payload))

    def all(self) -> None:
        """Go on until nothing is left, an hour at most."""
        for _ in range(720):
            self.pump()
            self.acknowledge(len(self.sent))
            self.echo()
            if not self.source.queued:
                return
            self.now += 5000
        raise AssertionError("never through")


def case_first_one_reading_then_all_where_batches_are_heard() -> None:
    """Nothing goes before the trial has come back; then the subscription is taken back."""
    broker = Broker(9)
    assert broker.pump() == 0  # SUBSCRIBE goes ahead
    assert broker.client.topics == [OWN]
    assert broker.pump() == 1
    broker.acknowledge()
    assert broker.pump() == 0
    broker.echo()
    assert not broker.client.topics
    broker.all()
    assert broker.ways == [(OWN, 1), (OWN, 4), (OWN, 4)]
    assert broker.got == dict.fromkeys(range(9), 1)
    assert not broker.source.queued
    broker.pump()
    assert "node.readings.way" not in sys.modules


def case_without_an_echo_all_goes_as_before() -> None:
    """Ten seconds after the trial: the same Reading first, on the topic of live ones."""
    broker = Broker(9, hears=False)
    broker.pump()
    broker.pump()
    broker.acknowledge()
    broker.now = ECHO_MS
    assert broker.pump() == 0
    broker.now += 4
    assert broker.pump() > 0
    assert not broker.client.topics
    broker.all()
    assert broker.ways == [(OWN, 1), (LIVE, 4), (LIVE, 4), (LIVE, 1)]
    assert broker.got == dict.fromkeys(range(9), 1)


def case_echo_ahead_of_the_acknowledgement() -> None:
    """Either order will do."""
    broker = Broker(5)
    broker.pump()
    broker.pump()
    broker.source.on_message(OWN, broker.sent[0][3], False, False)
    broker.all()
    assert broker.ways == [(OWN, 1), (OWN, 4)]
    assert broker.got == dict.fromkeys(range(5), 1)


def case_what_is_not_the_trial_is_no_echo() -> None:
    """Something else that comes on that topic proves nothing."""
    broker = Broker(5, hears=False)
    broker.pump()
    broker.pump()
    broker.source.on_message(OWN, b"{}", False, False)
    broker.source.on_message(OWN, b"", True, False)
    broker.all()
    assert broker.ways[:2] == [(OWN, 1), (LIVE, 4)]
    assert broker.got == dict.fromkeys(range(5), 1)


def case_next_connection_finds_out_anew() -> None:
    """What was known of one broker is not believed of the next one."""
    for before, after in ((True, False), (False, True)):
        broker = Broker(13, hears=before)
        while len(broker.ways) < 2:
            broker.pump(2)
            if broker.sent and len(broker.ways) < 2:
                broker.acknowledge()
                broker.echo()
            broker.now += 5001
        broker.hears = after
        broker.reconnect(kept=False)
        broker.all()
        assert set(broker.got) == set(range(13))
        assert broker.ways[-1][0] == (OWN if after else LIVE)


def case_a_broker_of_one_reading() -> None:
    """One Reading is its own trial: an array on the topic of batches, else flat where live is."""
    for hears in (True, False):
        broker = Broker(1, hears)
        broker.all()
        assert broker.got == {0: 1}
        assert broker.ways == [(OWN, 1)] if hears else [(OWN, 1), (LIVE, 1)]


def case_connection_breaks_at_any_point() -> None:
    """After any number of things sent, acknowledged and echoed, with the session kept or not, with
    rules that change meanwhile or not: every Reading comes to the consumer.
    """
    tried = 0
    for point in range(10):
        for kept in (True, False):
            for before, after in ((1, 1), (1, 0), (0, 1), (0, 0)):
                broker = Broker(14, bool(before))
                for step in range(point):
                    if step % 3 == 0:
                        broker.pump()
                        broker.pump()
                    elif step % 3 == 1 and broker.sent:
                        broker.acknowledge()
                    else:
                        broker.echo()
                        broker.now += 4000
                broker.hears = bool(after)
                broker.reconnect(kept)
                broker.all()
                missed = set(range(14)) - set(broker.got)
                assert not missed, (point, kept, before, after, missed)
                tried += 1
    assert tried == 80


def case_way_in_doubt_keeps_the_keys() -> None:
    """After connections that ended early a batch begins with the same Reading each time, so that
    it is known again: the trial is the last one. It tells nothing about what the way carries.
    """
    broker = Broker(9)
    keys = []
    for _ in range(3):
        broker.reconnect(kept=False, doubtful=True)
        broker.pump()
        broker.pump()
        broker.acknowledge()
        assert not broker.source.carried
        broker.echo()
        broker.pump(1)
        keys.append((broker.sent[0][0], len(broker.sent[0][2])))
    assert keys == [(0, 4)] * 3
    broker.acknowledge()
    assert broker.source.carried
    broker.all()
    assert broker.got == dict.fromkeys(range(9), 1)


def case_way_in_doubt_has_two_batches_at_a_time() -> None:
    """Where the connection before has ended with something in flight, as that comes twice when this
    one ends so, too; else as many as there is a window for.
    """
    for doubtful, most in ((False, 4), (True, 2)):
        broker = Broker(41)
        broker.reconnect(kept=False, doubtful=doubtful)
        broker.pump()
        broker.pump()
        broker.acknowledge()
        broker.echo()
        assert broker.pump() == most
        broker.acknowledge()
        assert broker.pump() == 1
        broker.all()
        assert broker.got == dict.fromkeys(range(41), 1)


def case_where_hardly_anything_gets_through_the_batch_is_the_trial() -> None:
    """After three connections that ended early the one Message that gets through is no single
    Reading, and goes where batches are heard; it has to come back all the same.
    """
    broker = Broker(9)
    for _ in range(2):
        broker.reconnect(kept=False, doubtful=True, alone=True)
        assert broker.pump(1) == 0  # SUBSCRIBE goes ahead
        assert broker.pump(1) == 1
        broker.acknowledge()
        assert broker.source.carried
        assert broker.pump(1) == 0
        broker.echo()
    broker.all()
    assert broker.ways == [(OWN, 4), (OWN, 4), (OWN, 1)]
    assert broker.got == dict.fromkeys(range(9), 1)


def case_trial_of_several_is_short_enough_to_be_read() -> None:
    """The node reads 1 KB, and has to see it come back."""
    broker = Broker(100)
    broker.source.batch_max = 100
    broker.reconnect(kept=False, doubtful=True, alone=True)
    broker.source.run(300)
    broker.source.run(301)
    packet = bytearray()
    broker.source.peek(301)
    broker.source.write(packet)
    assert 800 < len(packet) <= 1018


def case_where_batches_were_not_heard_nothing_is_tried_there_again() -> None:
    """After three connections that ended early, that is; each time it would be all that gets
    through. When one has got through, the next connection finds out again.
    """
    broker = Broker(9, hears=False)
    broker.reconnect(kept=False, doubtful=True, alone=True)
    broker.pump(1)
    broker.pump(1)
    broker.acknowledge()
    broker.reconnect(kept=False, doubtful=True, alone=True)
    assert broker.pump(1) == 1
    broker.acknowledge()
    assert broker.source.carried
    broker.hears = True
    broker.reconnect(kept=False)
    broker.all()
    assert broker.ways == [(OWN, 4), (LIVE, 4), (OWN, 1), (OWN, 4)]
    assert broker.got == dict.fromkeys(range(9), 1)


def case_ready_means_that_there_is_one() -> None:
    """Whatever holds it up (an echo, flash, a rate), a source that is ready gives one."""
    broker = Broker(40)
    broker.source.limits = Limits(1, 2048)
    given_ones = held = 0
    for now in range(0, 60_000, 100):
        broker.now = now
        broker.log.unreadable = 20_000 <= now < 25_000
        run_due(broker.source, now)
        if broker.source.ready:
            key, message = given(broker.source, now)
            assert message.payload
            broker.source.sent(key)
            broker.take(key, message)
            broker.acknowledge()
            given_ones += 1
        else:
            held += broker.source.due is not None
        broker.echo()
    assert given_ones > 5
    assert held > 100
    assert broker.source.errors
