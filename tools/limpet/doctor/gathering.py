"""All of doctor's facts: the folder, the broker's ports, a while of its traffic, and visits in the
names of others. What could not be seen is said, and why.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from limpet.brokers.rules import organisations
from limpet.doctor import doors, folder, process, visits
from limpet.doctor.facts import Door, Facts, Message, Own, Visit
from limpet.doctor.health import limits_of
from limpet.doctor.probe import Probe
from limpet.doctor.visitor import Visitor, tls
from limpet.doctor.visits import Place
from limpet.identity.layout import Layout
from limpet.identity.operators import Operator, operator_identity
from limpet.operating.where import SetupInfo, Where
from limpet.shared import bar
from limpet.shared.firmware import topics
from limpet.shared.payloads import decode
from limpet.shared.problem import Problem

PLAIN_PORT = 1883
# Retained Messages come at once; this long after, devices are visited that are not there.
_STATUS_S = 1.0
# So many devices at most are visited that nobody has named.
VISITS = 3
_LOOKS = 4

Told = Callable[[int], None]


@dataclass(frozen=True)
class Unseen:
    """What could not be seen, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Asked:
    """What is to be looked at. where: settled. device: the one that is meant, "" for all.
    plain_port: where nothing should speak MQTT without TLS. seconds: to listen for.
    """

    where: Where
    device: str = ""
    plain_port: int = PLAIN_PORT
    seconds: float = 12.0


def gathered(asked: Asked) -> tuple[Facts, list[Unseen]]:
    """Return all that can be seen, and what cannot. Raises Problem where there is no fleet with a
    device in it.
    """
    return _Gathering(asked).all()


class _Gathering:
    """The facts, as they come to be known, one step after the other."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._layout = Layout(asked.where.root)
        info = SetupInfo(asked.where.root, asked.device or None)
        host, port = asked.where.broker or info.host, asked.where.port or info.port
        name = asked.where.server_name or info.server_name
        self._names = [asked.device] if asked.device else sorted(info.bases)
        self._facts = Facts(time.time(), host, port, server_name=name)
        self._unseen: list[Unseen] = []

    def all(self) -> tuple[Facts, list[Unseen]]:
        """Take all steps."""
        facts = self._facts
        work = len(self._names) + _LOOKS + int(self._asked.seconds)
        with bar.counted(f"looking at {facts.where}", work) as told:
            self._read_folder(told)
            self._look_at_broker(told)
        return self._facts, self._unseen

    def _add(self, **found: object) -> None:
        self._facts = replace(self._facts, **found)  # type: ignore[arg-type]

    def _not_seen(self, what: str, why: str) -> None:
        self._unseen.append(Unseen(what, why))

    def _read_folder(self, told: Told) -> None:
        layout = self._layout
        self._add(
            consumers=layout.consumers(),
            devices=tuple(folder.own(layout, self._names, told)),
            certificates=folder.certificates(layout, self._names),
            old_files=folder.old_files(layout),
            limits=limits_of(layout),
        )

    def _look_at_broker(self, told: Told) -> None:
        where = replace(self._asked.where, broker=self._facts.host, port=self._facts.port)
        seen = Probe(where).look()
        self._add(seen=seen)
        told(1)
        if "name" not in seen.took:
            self._not_seen("the broker", "its name is not resolved")
            return
        with contextlib.ExitStack() as stack:
            listener, wide, thief = (self._leased(stack) for _ in range(3))
            self._look_at_doors(listener)
            told(1)
            if seen.failed:
                self._not_seen("what is on its way, and who may do what", "no operator gets in")
                return
            self._listen(stack, (listener, wide, thief), told)

    def _leased(self, stack: contextlib.ExitStack) -> Operator:
        identity = operator_identity(self._layout.root)
        stack.callback(identity.release)
        return identity

    def _look_at_doors(self, identity: Operator) -> None:
        host, port = self._facts.host, self._facts.port
        found: list[Door | None] = [doors.door(host, port, True, identity)]
        if self._asked.plain_port != port:
            found.append(doors.door(host, self._asked.plain_port, False))
        there = tuple(each for each in found if each)
        if any(each.tls and each.old_tls is None for each in there):
            self._not_seen("whether TLS below 1.2 is taken", "this machine's OpenSSL has none")
        address, here = _address(host, port)
        self._add(doors=there, address=address)
        found_process = process.listening(port) if here else None
        if found_process is None:
            why = "it is another user's" if here else "it runs on another machine"
            self._not_seen("how many files the broker's process may open", why)
        self._add(process=found_process)

    def _listen(
        self,
        stack: contextlib.ExitStack,
        identities: tuple[Operator, Operator, Operator],
        told: Told,
    ) -> None:
        first, second, third = identities
        began = time.monotonic()
        listener = stack.enter_context(self._visitor(first))
        place = Place(self._layout, self._at(), self._facts.server_name, listener)
        if why := listener.connect():
            self._not_seen("what is on its way", why)
            return
        granted = [listener.subscribe(each) for each in self._filters()]
        wide = stack.enter_context(self._visitor(second))
        if not wide.connect():
            self._add(takes_over=visits.takes_over(place, wide, third))
            if not wide.closed:
                wide.subscribe("#")
        told(1)
        listener.wait(lambda: False, _STATUS_S)
        self._visit(place)
        told(1)
        for second_ in range(int(self._asked.seconds)):
            left = began + second_ + 1 - time.monotonic()
            if left > 0:
                listener.wait(lambda: listener.closed, left)
            told(1)
        if listener.closed:
            self._not_seen("all of what is on its way", "the broker has closed the connection")
        heard = Visit(wide.name, True, read=tuple(dict.fromkeys(each.topic for each in wide.heard)))
        ours = {place.topic, *(each.asked for each in self._facts.visits)}
        messages = [each for each in listener.heard if each.topic not in ours]
        self._add(
            visits=(*self._facts.visits, heard),
            messages=(*messages, *_beyond(wide, self._facts.bases.values())),
            more=listener.more,
            listened_s=time.monotonic() - began,
            granted=min((each for each in granted if each is not None), default=None),
            returned=listener.came_with(place.topic),
        )
        if listener.more:
            self._not_seen(f"{listener.more:,} of the Messages", "there were too many")

    def _at(self) -> tuple[str, int]:
        return self._facts.host, self._facts.port

    def _visitor(self, identity: Operator) -> Visitor:
        context = tls(identity.ca, self._facts.server_name, (identity.cert, identity.key))
        return Visitor(self._at(), identity.name, context)

    def _filters(self) -> list[str]:
        bases = self._facts.bases
        if self._asked.device:
            own = bases[self._asked.device]
            return [f"{own}/#", f"{own.split('/')[0]}/{topics.TIME}"]
        return [f"{org}/#" for org in organisations(bases)]

    def _visit(self, place: Place) -> None:
        found = []
        if visit := visits.stranger(place):
            found.append(visit)
        else:
            self._not_seen("what a certificate may that is in no registry", "the CA's key is away")
        away = self._away(place.witness)
        for own in away[: 1 if self._asked.device else VISITS]:
            try:
                found.append(visits.device(place, own))
            except (OSError, ValueError, Problem) as error:
                self._not_seen(f"what {own.name} may", f"its own certificate: {error}")
        if not away:
            self._not_seen(
                "what a device may read and write",
                "all are online, and a visit in the name of one throws it out",
            )
        self._add(visits=(*self._facts.visits, *found))

    def _away(self, listener: Visitor) -> list[Own]:
        """Return the devices that are not there, those first of which nothing is heard at all."""
        statuses = {}
        for each in listener.heard:
            if each.topic.endswith(f"/{topics.STATUS}"):
                statuses[each.topic] = (decode(each.payload) or {}).get("status")
        heard = {each.topic for each in listener.heard if not each.retained}
        away = [
            (statuses.get(f"{own.base}/{topics.STATUS}"), own)
            for own in self._facts.devices
            if own.base and own.config and own.config.cert and own.config.broker == self._facts.host
        ]
        away = [
            (status, own)
            for status, own in away
            if status != "online" and not any(topic.startswith(f"{own.base}/") for topic in heard)
        ]
        return [own for _, own in sorted(away, key=lambda each: (each[0] or "", each[1].name))]


def _address(host: str, port: int) -> tuple[str, bool]:
    """Return the address that `host` stands for, and whether it is this machine's."""
    try:
        with socket.create_connection((host, port), 3.0) as connection:
            theirs = connection.getpeername()[0]
            return theirs, theirs == connection.getsockname()[0]
    except OSError:
        return "", False


def _beyond(wide: Visitor, bases: Iterable[str]) -> list[Message]:
    """Return what came to who asked for everything, and is of no organisation of the fleet."""
    roots = tuple({f"{base.split('/')[0]}/" for base in bases})
    return [each for each in wide.heard if not each.topic.startswith(("$", *roots))]
