"""Visits to a broker in somebody's name, to see what that one may: a stranger with a certificate of
the fleet's CA, a device that is not there just now, an operator.

Nothing is retained and no device is told anything: what is said goes to an operator's name, which
no device may have, and to where a device's own Responses go, as one that nobody has asked for.
"""

import json
import secrets
import time
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import load_der_private_key

from limpet.brokers.rules import organisations
from limpet.doctor.facts import Own, Visit
from limpet.doctor.visitor import Visitor, tls, tls_of
from limpet.identity import authority
from limpet.identity.authority import Authority, Identity
from limpet.identity.layout import Layout
from limpet.identity.operators import Operator
from limpet.shared import private
from limpet.shared.firmware import topics

# What is delivered at all is delivered at once.
HEARD_S = 1.0
# Long enough to look, and worth nothing to who finds it.
_VALID = timedelta(hours=1)


@dataclass(frozen=True)
class Place:
    """Where the visits go. witness: an operator who hears the whole fleet, and may command it."""

    layout: Layout
    at: tuple[str, int]
    server_name: str | None
    witness: Visitor

    @property
    def topic(self) -> str:
        """A topic that is of no device, and that operators may write."""
        org = organisations(self.layout.bases())[0]
        return f"{org}/limpet/limpet/doctor/{self.witness.name}/{topics.COMMANDS}"

    def filters(self) -> list[str]:
        """Return the filters of who wants to hear everything."""
        return [*(f"{org}/#" for org in organisations(self.layout.bases())), "#"]

    def payload(self) -> bytes:
        """Return one that is like no other."""
        said = {"id": secrets.token_hex(8), "action": "doctor-check"}
        return json.dumps(said, separators=(",", ":")).encode()


def stranger(place: Place) -> Visit | None:
    """Come with a certificate of the fleet's CA for a name that nobody has; None where the CA's key
    is not here.
    """
    layout = place.layout
    key = layout.ca / "ca.key"
    if not key.is_file():
        return None
    name = f"limpet-doctor-{secrets.token_hex(4)}"
    made = Authority(authority.load(key, layout.ca_certificate)).client(name, valid=_VALID)
    context = tls_of(layout.ca_certificate, place.server_name, made)
    with Visitor(place.at, name, context) as visitor:
        if why := visitor.connect():
            return Visit(name, False, why)
        wrote = _said_abroad(place, visitor)
        read = _heard(place, visitor)
        return Visit(name, True, "", read, wrote, ended=visitor.closed)


def device(place: Place, own: Own) -> Visit:
    """Come as a device that is not there just now, with its own certificate and password."""
    folder = place.layout.device(own.name)
    key = load_der_private_key(private.read(folder / own.config.key), None)
    identity = Identity(key, authority.load_certificate(folder / own.config.cert))  # type: ignore[arg-type]
    context = tls_of(place.layout.ca_certificate, place.server_name, identity)
    login = (own.config.username, own.config.password) if own.config.username else None
    at = (place.at[0], own.config.port if login else place.at[1])
    with Visitor(at, own.name, context, login=login, theirs=True) as visitor:
        if why := visitor.connect():
            return Visit(own.name, False, why)
        topic = f"{own.base}/{topics.RESPONSE}/limpet-doctor"
        said = {"v": 1, "id": secrets.token_hex(8), "status": "rejected", "code": "doctor"}
        said |= {"text": "limpet doctor looks whether this is heard", "ts": int(time.time())}
        payload = json.dumps(said, separators=(",", ":")).encode()
        visitor.publish(topic, payload)
        heard = place.witness.hears(topic, payload, HEARD_S)
        wrote = _said_abroad(place, visitor)
        read = _heard(place, visitor)
        ended, new = visitor.closed, not visitor.session
        visitor.leave(place.filters())
    if new and not ended:  # ours was the first of that name: it is not left behind
        with Visitor(at, own.name, context, login=login) as last:
            last.connect()
    return Visit(own.name, True, "", read, wrote, topic, heard, ended)


def _heard(place: Place, visitor: Visitor) -> tuple[str, ...]:
    """Have it ask for everything, say something to nobody, and return the topics that came."""
    payload = place.payload()
    for each in place.filters():
        if not visitor.closed:
            # QoS 0: what comes is not to wait behind what the device has not acknowledged.
            visitor.subscribe(each, 0)
    place.witness.publish(place.topic, payload)
    visitor.hears(place.topic, payload, HEARD_S)
    return tuple(dict.fromkeys(each.topic for each in list(visitor.heard)))


def _said_abroad(place: Place, visitor: Visitor) -> tuple[str, ...]:
    payload = place.payload()
    visitor.publish(place.topic, payload)
    return (place.topic,) if place.witness.hears(place.topic, payload, HEARD_S) else ()


def takes_over(place: Place, victim: Visitor, other: Operator) -> bool:
    """Whether `other`, calling itself as the victim does, takes its place: both are operators of
    ours.
    """
    context = tls(place.layout.ca_certificate, place.server_name, (other.cert, other.key))
    with Visitor(place.at, victim.name, context) as thief:
        return thief.connect() == "" and victim.wait(lambda: victim.closed, HEARD_S)
