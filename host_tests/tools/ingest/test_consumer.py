"""The connection of `limpet ingest`, with a socket that is played."""

from __future__ import annotations

from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from limpet.ingest.asked import Address, Wanted
from limpet.ingest.consumer import Consumer, Message
from limpet.ingest.packets import Publish
from limpet.shared.problem import Problem
from paho.mqtt.client import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

PUBLISH = Publish(b"t", b"payload", 7)


def test_acknowledgements_are_of_their_connection() -> None:
    """What came by an earlier one has an id that may stand for another Message by now."""
    address = Address((("127.0.0.1", 1),), None, "x", Path(), Path(), Path())
    consumer = Consumer(address, Wanted(()), print)
    told = bytearray()

    class Socket:
        def send(self, data: bytes) -> None:
            told.extend(data)

    consumer._socket = Socket()  # type: ignore[assignment]
    consumer._generation = 2
    consumer.acknowledge(
        [Message("t", b"", 1, 7), Message("t", b"", 2, 8), Message("t", b"", 2, 0)]
    )
    assert told == b"\x40\x02\x00\x08"


class Played:
    """A connection whose broker sends `sent`, one after the other; an exception is raised."""

    dry = waiting = unwritten = False

    def __init__(self, *sent: Publish | Exception) -> None:
        self._sent = list(sent)

    def receive(self) -> list[Publish]:
        """Give the next."""
        if not self._sent:
            self.dry = True
            return []
        if isinstance(each := self._sent.pop(0), Exception):
            raise each
        return [each]

    def close(self) -> None:
        """Close it."""


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (ValueError("a PUBLISH that is none"), "it sends a PUBLISH that is none"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_a_broker_that_breaks_off(wrong: Exception, why: str) -> None:
    """What came before counts, with the id of its connection; the cause is said."""
    consumer, said = _connected(Played(PUBLISH, wrong))
    consumer.step(0)
    assert said == [f"no connection to 127.0.0.1:1: {why}; trying again"]
    assert consumer.take() == [Message("t", b"payload", 1, 7)]
    assert not consumer.up


def test_what_paho_has_closed_is_lost() -> None:
    """It is never asked for ever for bytes that it does not take."""
    played = Played()
    played.waiting = True
    consumer, said = _connected(played)
    consumer.step(0)
    assert not consumer.up
    assert said == ["no connection to 127.0.0.1:1: it closed the connection; trying again"]


def test_what_a_broker_may_refuse() -> None:
    """It is left out once it is refused, or once two connections in a row ended without an answer;
    what is refused besides is a fault.
    """
    address = Address((("127.0.0.1", 1),), None, "x", Path(), Path(), Path())
    refused, taken = (ReasonCode(PacketTypes.SUBACK, identifier=each) for each in (0x87, 1))
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def made() -> Consumer:
        return Consumer(address, Wanted(("t", "$SYS/#"), optional=("$SYS/#",)), print)

    consumer = made()
    consumer._subscribed(client, None, 1, [taken, refused], None)
    assert (consumer.connects, consumer._asking) == (1, ["t"])
    consumer = made()
    for asking in (["t", "$SYS/#"], ["t"]):
        consumer._unheard += 1
        consumer._lost()
        assert consumer._asking == asking
    consumer = made()
    consumer._subscribed(client, None, 1, [refused, taken], None)
    with pytest.raises(Problem, match="the subscription to t"):
        consumer.step(0)


def _connected(played: Played) -> tuple[Consumer, list[str]]:
    said: list[str] = []
    address = Address((("127.0.0.1", 1),), None, "x", Path(), Path(), Path())
    consumer = Consumer(address, Wanted(("t",)), said.append)
    consumer._client = mqtt.Client(CallbackAPIVersion.VERSION2)
    consumer._socket = played  # type: ignore[assignment]
    consumer._generation = consumer.connects = 1
    consumer.up = True
    return consumer, said
