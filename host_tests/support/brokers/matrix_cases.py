"""The rows of the access matrix: who tries what, and how it is seen what came of it.

What is not to arrive is waited for by what is to arrive after it: a Message of the same sender, to
the same listener.
"""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from collections.abc import Callable

from support.brokers.matrix import (
    DEVICE,
    HASS,
    NEIGHBOUR,
    OPERATOR,
    READER,
    RENEWED,
    STRANGER,
    TELLER,
    UNKNOWN,
    Case,
    World,
    base,
    entered,
)
from support.brokers.mqtt_client import Client, Refused

HEARD, DROPPED, REFUSED, THROWN_OUT, LET_IN = "heard", "dropped", "refused", "thrown out", "let in"
_OWN, _NEIGHBOURS, _STRANGERS = base(DEVICE), base(NEIGHBOUR), base(STRANGER)
# Let in, and neither heard nor told anything.
MUTE = "let in, mute"
# Passed on as any other, and not retained.
NOT_KEPT = "not kept"
# The neighbour loses its connection by it, and nothing else.
INTERRUPTED = "interrupts it"
# What counts as no.
NO = {NOT_KEPT, DROPPED, REFUSED, THROWN_OUT, MUTE}

_TRIES, _PAUSE_S = 3, 1.1
_TELEMETRY, _STATUS, _COMMANDS = "telemetry", "status", "commands"
_PROGRAMS = (OPERATOR, READER, TELLER, HASS)
_ENTRY, _THERE = f"homeassistant/device/{DEVICE}/config", "homeassistant/status"


def says(topic: str, *, who: str = DEVICE, retain: bool = False) -> Callable[[World], str]:
    """A device or consumer publishes to `topic`; the observer hears it or not."""

    def seen(world: World) -> str:
        sender = _connected(world, who)
        return _said(world, sender, who, topic, retain=retain)

    return seen


def hears(topic_filter: str, topic: str, of: str) -> Callable[[World], str]:
    """A device subscribes to `topic_filter`; `of` publishes to `topic`, which that matches."""

    def seen(world: World) -> str:
        listener, speaker = _connected(world, DEVICE), _connected(world, of)
        own = f"{base(DEVICE)}/{_STATUS}"
        assert listener.ask(own)
        granted = listener.ask(topic_filter)
        text, last = world.text(), world.text()
        assert speaker.offer(topic, text)
        if not listener.offer(own, last):
            assert not granted
            return REFUSED  # and the connection closed for it
        listener.wait_for(own, lambda message: message.payload == last.encode())
        if any(message.payload == text.encode() for message in listener.messages):
            return HEARD
        return DROPPED if granted else REFUSED

    return seen


def commanded(who: str) -> Callable[[World], str]:
    """A consumer sends a Command, and the device hears it or not."""

    def seen(world: World) -> str:
        device, sender = _connected(world, DEVICE), _connected(world, who)
        commands = f"{base(DEVICE)}/{_COMMANDS}"
        own = f"{base(DEVICE)}/{_STATUS}"
        assert device.ask(commands)
        assert device.ask(own)
        text, last = world.text(), world.text()
        acknowledged = sender.offer(commands, text)
        assert device.offer(own, last)
        device.wait_for(own, lambda message: message.payload == last.encode())
        if any(message.payload == text.encode() for message in device.messages):
            return HEARD
        return DROPPED if acknowledged else THROWN_OUT

    return seen


def told(world: World) -> str:
    """A consumer that only reads hears a device."""
    reader, device = _connected(world, READER), _connected(world, DEVICE)
    if not reader.ask("limpet/#"):
        return REFUSED
    text = world.text()
    assert device.offer(f"{base(DEVICE)}/{_TELEMETRY}", text)
    reader.wait_for("#", lambda message: message.payload == text.encode())
    return HEARD


def tells_home(who: str, topic: str, listener: str) -> Callable[[World], str]:
    """Somebody publishes what is Home Assistant's, retained; `listener`, who may, hears it or not.

    What is not to arrive is waited for by what a device says after it: where somebody else is the
    sender, he has been answered by then.
    """

    def seen(world: World) -> str:
        hears = _connected(world, listener)
        assert hears.ask(topic)
        assert hears.ask(f"{_OWN}/{_TELEMETRY}")
        sender = _connected(world, who)
        text, last = world.text(), world.text()
        stays = sender.offer(topic, text, retain=True)
        device = sender if who == DEVICE and not sender.closed else _connected(world, DEVICE)
        assert device.offer(f"{_OWN}/{_TELEMETRY}", last)
        hears.wait_for("#", lambda message: message.payload == last.encode())
        if any(message.payload == text.encode() for message in hears.messages):
            sender.offer(topic, "", retain=True)
            return HEARD
        return DROPPED if stays else THROWN_OUT

    return seen


def figures(world: World) -> str:
    """A device asks for the broker's own figures: the next that come, if any, are for it."""
    device = _connected(world, DEVICE)
    own = f"{base(DEVICE)}/{_STATUS}"
    assert device.ask(own)
    granted = device.ask("$SYS/#")
    last = world.text()
    if not device.offer(own, last):
        assert not granted
        return REFUSED
    device.wait_for(own, lambda message: message.payload == last.encode())
    if any(message.topic.startswith("$") for message in device.messages):
        return HEARD
    return DROPPED if granted else REFUSED


def kept(topic: str) -> Callable[[World], str]:
    """A device retains what is none of what its topics keep; who comes later is given it or not."""

    def seen(world: World) -> str:
        device = _connected(world, DEVICE)
        text, last = world.text(), world.text()
        stays = device.offer(topic, text, retain=True)
        late = _connected(world, READER)
        assert late.ask(topic)
        if device.closed:
            device = _connected(world, DEVICE)
        assert device.offer(topic, last)
        late.wait_for(topic, lambda message: message.payload == last.encode())
        found = any(
            message.retain and message.payload == text.encode() for message in late.messages
        )
        device.offer(topic, "", retain=True)
        return "kept" if found else NOT_KEPT if stays else THROWN_OUT

    return seen


def wills(topic: str) -> Callable[[World], str]:
    """A device leaves a will, and dies; the observer hears it or not."""

    def seen(world: World) -> str:
        text = world.text()
        try:
            dying = _again(lambda: world.client(will=(topic, text, False)))
        except Refused:
            return REFUSED
        dying.drop()
        # Its next connection begins when the last one has ended, will included.
        again = _connected(world, DEVICE)
        _mark(world, again, DEVICE)
        return _verdict(world, text, DROPPED)

    return seen


def anonymous(world: World) -> str:
    """TLS, and no certificate."""
    return entered(world.client(certificate=False))


def of_another_ca(world: World) -> str:
    """A device's name in a certificate of another authority."""
    return entered(world.client(identity=world.foreign.client(DEVICE)))


def revoked(world: World) -> str:
    """The certificate is revoked, and the device with it."""
    return _mute(world, world.client("node-4", world.revoked), "node-4")


def replaced(world: World) -> str:
    """The certificate is revoked, and the device has another one."""
    return _mute(world, world.client(RENEWED, world.replaced), RENEWED)


def unregistered(world: World) -> str:
    """A certificate of this authority, whose name is in no registry."""
    return _mute(world, world.client(UNKNOWN), UNKNOWN)


def posing(world: World) -> str:
    """A device with its own certificate calls itself by its neighbour's name; it speaks as itself,
    or not at all.
    """
    neighbour, own = _connected(world, NEIGHBOUR), f"{base(NEIGHBOUR)}/{_STATUS}"
    client = world.client(NEIGHBOUR, world.setup.authority.client(DEVICE))
    if entered(client) == REFUSED:
        assert neighbour.ask(own)
        return REFUSED
    verdict = _said(world, client, DEVICE, f"{base(NEIGHBOUR)}/{_TELEMETRY}")
    # A broker may end the neighbour's connection a moment later: it has to answer, or to end.
    return INTERRUPTED if not neighbour.ask(own) and verdict in NO else verdict


def old_tls(world: World) -> str:
    """A client that speaks TLS 1.1 at most."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(world.layout.ca_certificate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(world.address, 60) as raw:
        try:
            context.wrap_socket(raw, server_hostname=world.address[0]).close()
        except OSError:
            return REFUSED
    return LET_IN


def _connected(world: World, who: str) -> Client:
    if who == OPERATOR:
        return world.observer  # the broker knows each name once
    return _again(lambda: world.consumer(who) if who in _PROGRAMS else world.client(who))


def _again(made: Callable[[], Client]) -> Client:
    """Connect a client; where it is refused, others like it: NATS keeps a name out for a second
    when it comes back before its last connection has been put away.
    """
    for _ in range(_TRIES):
        try:
            return made().connect()
        except Refused:
            time.sleep(_PAUSE_S)
    return made().connect()


def _said(world: World, sender: Client, who: str, topic: str, retain: bool = False) -> str:
    text = world.text()
    stays = sender.offer(topic, text, retain)
    if who in _PROGRAMS:
        sender, who = _connected(world, DEVICE), DEVICE
    elif sender.closed:
        sender = _connected(world, who)
    _mark(world, sender, who)
    return _verdict(world, text, DROPPED if stays else THROWN_OUT)


def _mark(world: World, sender: Client, who: str) -> None:
    """Have the observer hear something that was said after all that is not to arrive."""
    world.observe()
    last = world.text()
    assert sender.offer(f"{base(who)}/{_TELEMETRY}", last)
    world.observer.wait_for("#", lambda message: message.payload == last.encode())


def _verdict(world: World, text: str, otherwise: str) -> str:
    heard = any(message.payload == text.encode() for message in world.observed())
    return HEARD if heard else otherwise


def _mute(world: World, client: Client, who: str) -> str:
    """Return how somebody fares who is to have no rights."""
    if entered(client) == REFUSED:
        return REFUSED
    text, secret = world.text(), world.text()
    client.ask(f"{base(DEVICE)}/#")
    if not client.closed:
        client.offer(f"{base(who)}/{_TELEMETRY}", text)
    device = _connected(world, DEVICE)
    assert device.offer(f"{base(DEVICE)}/{_TELEMETRY}", secret)
    world.observer.wait_for("#", lambda message: message.payload == secret.encode())
    if _verdict(world, text, "") or client.messages:
        return HEARD
    return THROWN_OUT if client.closed else MUTE


_HEARD_BY_ALL = f"{_NEIGHBOURS}/{_TELEMETRY}"
_ROWS: dict[str, tuple[bool, Callable[[World], str]]] = {
    "a device says its telemetry": (True, says(f"{_OWN}/{_TELEMETRY}")),
    "a device hears its Commands": (True, commanded(OPERATOR)),
    "a device says its neighbour's telemetry": (False, says(f"{_NEIGHBOURS}/{_TELEMETRY}")),
    "a device says its neighbour's status": (False, says(f"{_NEIGHBOURS}/{_STATUS}")),
    "a device says another organisation's telemetry": (False, says(f"{_STRANGERS}/{_TELEMETRY}")),
    "a device says its own from another site": (
        False,
        says(f"limpet/hut/desk/climate/{DEVICE}/{_TELEMETRY}"),
    ),
    "a device says something else below its topic": (False, says(f"{_OWN}/firmware")),
    "a device gives itself a Command": (False, says(f"{_OWN}/{_COMMANDS}")),
    "a device answers on another's reply topic": (
        False,
        says(f"{_NEIGHBOURS}/{_COMMANDS}/response/x"),
    ),
    "a device says the time": (False, says("limpet/time")),
    "a device hears its neighbour by `#`": (False, hears("#", _HEARD_BY_ALL, NEIGHBOUR)),
    "a device hears its neighbour by `+`": (
        False,
        hears(f"+/+/+/+/+/{_TELEMETRY}", _HEARD_BY_ALL, NEIGHBOUR),
    ),
    "a device hears its neighbour's Commands": (
        False,
        hears(f"{_NEIGHBOURS}/{_COMMANDS}", f"{_NEIGHBOURS}/{_COMMANDS}", OPERATOR),
    ),
    "a device hears another organisation": (
        False,
        hears("other/#", f"{_STRANGERS}/{_TELEMETRY}", STRANGER),
    ),
    "a device hears the broker's figures, `$SYS`": (False, figures),
    "a device leaves a will on its status": (True, wills(f"{_OWN}/{_STATUS}")),
    "a device leaves a will on its neighbour's status": (False, wills(f"{_NEIGHBOURS}/{_STATUS}")),
    "a device has telemetry retained": (False, kept(f"{_OWN}/{_TELEMETRY}")),
    "a device poses as its neighbour": (False, posing),
    "an operator sends a Command": (True, commanded(OPERATOR)),
    "an operator says a device's telemetry": (False, says(f"{_OWN}/{_TELEMETRY}", who=OPERATOR)),
    "an operator says the time": (False, says("limpet/time", who=OPERATOR)),
    "a reader hears everything": (True, told),
    "a reader sends a Command": (False, commanded(READER)),
    "a program of the role `discovery` tells Home Assistant of a device": (
        True,
        tells_home(TELLER, _ENTRY, HASS),
    ),
    "a program of the role `discovery` sends a Command": (False, commanded(TELLER)),
    "Home Assistant says that it is there": (True, tells_home(HASS, _THERE, TELLER)),
    "Home Assistant sends a Command": (True, commanded(HASS)),
    "Home Assistant says a device's telemetry": (False, says(f"{_OWN}/{_TELEMETRY}", who=HASS)),
    "a device tells Home Assistant of itself": (False, tells_home(DEVICE, _ENTRY, HASS)),
    "a device says that Home Assistant is there": (False, tells_home(DEVICE, _THERE, TELLER)),
    "an operator tells Home Assistant of a device": (False, tells_home(OPERATOR, _ENTRY, HASS)),
    "nobody: no certificate": (False, anonymous),
    "a certificate of another authority": (False, of_another_ca),
    "a revoked certificate": (False, revoked),
    "a revoked certificate, of a device with a new one": (False, replaced),
    "a certificate of this authority, in no registry": (False, unregistered),
    "TLS 1.1": (False, old_tls),
}
CASES = tuple(Case(name, *row) for name, row in _ROWS.items())
