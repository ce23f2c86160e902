"""All of doctor's facts: the folder, the broker's ports, a while of its traffic, and visits in the
names of others. What could not be seen is said, and why.
"""

import contextlib
import functools
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from limpet.brokers.rules import organisations
from limpet.doctor.facts import Door, Facts, Own, Visit
from limpet.doctor.finding import listed
from limpet.doctor.health import limits_of
from limpet.doctor.looks import doors, folder, log, process, visits
from limpet.doctor.looks.visitor import ANSWER_S, Visitor, tls
from limpet.doctor.looks.visits import Place
from limpet.doctor.probe import Probe, Seen
from limpet.identity.layout import Layout, running
from limpet.identity.operators import Operator, operator_identity
from limpet.operating.where import SetupInfo, Where
from limpet.shared import bar
from limpet.shared.firmware import rules, topics
from limpet.shared.payloads import BASE_LEVELS, decode, kind_of
from limpet.shared.problem import Problem

PLAIN_PORT = 1883
# For the steps of `limpet health`: nobody waits for this command in a hurry.
PROBE_S = 10.0
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
    plain_port: where nothing should speak MQTT without TLS. seconds: to listen for. log: the
    broker's, if not that of `limpet broker`.
    """

    where: Where
    device: str = ""
    plain_port: int = PLAIN_PORT
    seconds: float = 12.0
    log: Path | None = None


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
        self._names = [asked.device] if asked.device else sorted(self._layout.bases())
        self._unseen: list[Unseen] = []
        self._facts = Facts(time.time())
        info = self._info()
        # The device that says where the broker is.
        self._first = info.device if info else None
        if info:
            host, port = asked.where.broker or info.host, asked.where.port or info.port
            name = asked.where.server_name or info.server_name
            self._add(host=host, port=port, server_name=name)

    def _info(self) -> SetupInfo | None:
        """Return what the first device says whose config can be read; None where there is none.
        Raises Problem where there is no device.
        """
        root = self._asked.where.root
        if not self._names:
            return SetupInfo(root)
        for name in self._names:
            with contextlib.suppress(Problem):  # `_read_folder` says it
                return SetupInfo(root, name)
        return None

    def all(self) -> tuple[Facts, list[Unseen]]:
        """Take all steps."""
        work = len(self._names) + _LOOKS + int(self._asked.seconds)
        with (
            bar.counted(f"looking at {self._facts.where}", work) as told,
            contextlib.ExitStack() as stack,
        ):
            self._read_folder(told)
            self._read_log()
            seen = self._probe(told) if self._first else None
            if not self._first:
                self._not_seen("the broker", "no config that can be read says where it is")
            if seen and "name" in seen.took:
                self._look(seen, stack, told)
            elif seen:
                self._not_seen("the broker", "its name is not resolved")
        return self._facts, self._unseen

    def _add(self, **found: object) -> None:
        self._facts = replace(self._facts, **found)  # type: ignore[arg-type]

    def _not_seen(self, what: str, why: str) -> None:
        self._unseen.append(Unseen(what, why))

    def _read_folder(self, told: Told) -> None:
        layout = self._layout
        devices = tuple(folder.own(layout, self._names, told))
        known = layout.registered().devices.items()
        self._add(
            consumers=layout.consumers(),
            devices=devices,
            revoked=tuple(name for name, each in known if each.revoked is not None),
            certificates=folder.certificates(layout, devices, all_=not self._asked.device),
            old_files=folder.old_files(layout),
            limits=limits_of(layout),
        )

    def _read_log(self) -> None:
        path = self._asked.log
        if path is None and running(self._layout.root):
            from limpet.brokers.on_network import LOG, own_folder  # Windows has nothing of it

            own = own_folder(self._layout) / LOG
            path = own if own.is_file() else None
        if path:
            self._add(logged=log.read(path))
        elif not self._asked.device:
            what = "with which keepalive and QoS other programs come"
            self._not_seen(what, "that is in the broker's log alone: --log FILE")

    def _probe(self, told: Told) -> Seen | None:
        where = replace(self._asked.where, broker=self._facts.host, port=self._facts.port)
        try:
            seen = Probe(where, self._first).look(PROBE_S)
        except Problem as problem:  # no operator is left to ask with
            self._not_seen("the broker", problem.cause)
            return None
        told(1)
        self._add(seen=replace(seen, said={}) if self._asked.device else seen)
        return seen

    def _look(self, seen: Seen, stack: contextlib.ExitStack, told: Told) -> None:
        try:
            first, second, third = (self._leased(stack) for _ in range(3))
        except Problem as problem:
            self._not_seen("the broker beyond the steps of limpet health", problem.cause)
            return
        self._look_at_doors(first)
        told(1)
        if seen.failed:
            self._not_seen("what is on its way, and who may do what", "no operator gets in")
            return
        listener = stack.enter_context(self._visitor(first))
        if why := listener.connect():
            self._not_seen("what is on its way", why)
            return
        wide = None if self._asked.device else stack.enter_context(self._visitor(second))
        self._listen(listener, wide, third, told)

    def _leased(self, stack: contextlib.ExitStack) -> Operator:
        identity = operator_identity(self._layout.root)
        stack.callback(identity.release)
        return identity

    def _look_at_doors(self, identity: Operator) -> None:
        host, port = self._at
        if self._asked.device:
            shown = doors.shown(host, port, identity)
            self._add(doors=(Door(port, True, shown=shown),))
            return
        found = [doors.secured(host, port, identity)]
        if self._asked.plain_port != port:
            found.append(doors.plain(host, self._asked.plain_port))
        there = tuple(each for each in found if each)
        if any(each.tls and each.old_tls is None for each in there):
            self._not_seen("whether TLS below 1.2 is taken", "this machine's OpenSSL has none")
        address, here = _address(host, port)
        self._add(doors=there, address=address)
        found_process = process.listening(port) if here else None
        if found_process is None:
            why = "it is another user's" if here else "it does not run on this machine"
            self._not_seen("how many files the broker's process may open", why)
        self._add(process=found_process)

    def _listen(self, listener: Visitor, wide: Visitor | None, third: Operator, told: Told) -> None:
        began = time.monotonic()
        place = Place(self._layout, self._at, self._facts.server_name, listener)
        granted = [listener.subscribe(each) for each in self._filters()]
        if None in granted:
            self._not_seen("all of what is on its way", "the broker refuses the subscription")
        if wide and not wide.connect():
            self._add(takes_over=visits.takes_over(place, wide, third))
            if not wide.closed:
                wide.subscribe("#")
        told(1)
        found = list(self._strangers(place))
        for second in range(int(self._asked.seconds)):
            if (left := began + second + 1 - time.monotonic()) > 0:
                listener.wait(lambda: listener.closed, left)
            told(1)
        # By now it is known who is there.
        self._add(visits=(*found, *self._devices(place)))
        told(1)
        if listener.closed:
            self._not_seen("all of what is on its way", "the broker has closed the connection")
        if listener.more:
            self._not_seen(f"{listener.more:,} of the Messages", "there were too many")
        self._add(
            listened_s=time.monotonic() - began,
            granted=min((each for each in granted if each is not None), default=None),
            returned=listener.came_with(place.topic),
        )
        self._heard(place, wide)

    def _heard(self, place: Place, wide: Visitor | None) -> None:
        ours = {place.topic, *(each.asked for each in self._facts.visits)}
        messages = [each for each in list(place.witness.heard) if each.topic not in ours]
        if wide:
            came = list(wide.heard)
            read = tuple(dict.fromkeys(each.topic for each in came))
            self._add(visits=(*self._facts.visits, Visit(wide.name, True, read=read)))
            roots = tuple(f"{each}/" for each in organisations(self._facts.bases))
            messages += [each for each in came if not each.topic.startswith(("$", *roots))]
        self._add(messages=tuple(messages))

    @property
    def _at(self) -> tuple[str, int]:
        return self._facts.host, self._facts.port

    def _visitor(self, identity: Operator) -> Visitor:
        context = tls(identity.ca, self._facts.server_name, (identity.cert, identity.key))
        return Visitor(self._at, identity.name, context)

    def _filters(self) -> list[str]:
        bases = self._facts.bases
        if self._asked.device:
            own = bases[self._asked.device]
            # And what `visits` says to nobody.
            org = own.split("/")[0]
            return [f"{own}/#", f"{org}/{topics.TIME}", f"{org}/limpet/limpet/doctor/#"]
        return [f"{org}/#" for org in organisations(bases)]

    def _strangers(self, place: Place) -> Iterator[Visit]:
        if self._asked.device:
            return
        yield from self._visit("a stranger", lambda: visits.stranger(place))
        there = [name for name in self._facts.revoked if self._layout.device(name).is_dir()]
        for name in there[:1]:
            yield from self._visit(name, functools.partial(visits.revoked, place, name))

    def _devices(self, place: Place) -> Iterator[Visit]:
        devices = self._away(place.witness)[: 1 if self._asked.device else VISITS]
        if not devices:
            who = "it is not" if self._asked.device else "none is"
            why = f"{who} known to be away, and a visit in its name would throw it out"
            self._not_seen("what a device may read and write", why)
        for number, each in enumerate(devices, 1):
            found = list(self._visit(each.name, functools.partial(visits.device, place, each)))
            yield from found
            others = [other.name for other in devices[number:]]
            if others and any(visit.admitted and not visit.heard for visit in found):
                # It takes ten seconds each, and would say the same of all that the broker misses.
                why = f"the broker delivers nothing of {each.name}; that first"
                self._not_seen(f"what {listed(others)} may", why)
                return

    def _visit(self, name: str, visit: Callable[[], Visit | None]) -> Iterator[Visit]:
        try:
            if found := visit():
                yield found
            else:
                self._not_seen(f"what {name} may", "the CA's key is not here")
        except Problem as problem:
            self._not_seen(f"what {name} may", problem.cause)
        except (OSError, ValueError) as error:
            self._not_seen(f"what {name} may", f"its certificate cannot be used: {error}")

    def _away(self, listener: Visitor) -> list[Own]:
        """Return the devices that are not there, those first of which nothing is heard at all."""
        said: dict[str, object] = {}
        for each in list(listener.heard):
            base = "/".join(each.topic.split("/")[:BASE_LEVELS])
            if kind_of(each.topic) == topics.STATUS:
                said[base] = (decode(each.payload) or {}).get("status")
            elif not each.retained:
                said.setdefault(base, "online")
        away = [
            each
            for each in self._facts.devices
            if each.base and each.config and each.config.cert and said.get(each.base) != "online"
            if self._facts.is_for(each.config)
            # Of one that has nothing retained nobody knows whether it is there.
            if each.config.retain or self._asked.device
        ]
        return sorted(away, key=lambda each: (each.base in said, each.name))


def _address(host: str, port: int) -> tuple[str, bool]:
    """Return the address that `host` stands for, and whether it is this machine's."""
    try:
        with socket.create_connection((host, port), ANSWER_S) as connection:
            theirs = connection.getpeername()[0]
            return theirs, rules.is_loopback(theirs) or theirs == connection.getsockname()[0]
    except OSError:
        return "", False
