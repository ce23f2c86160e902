"""Visits to a broker in somebody's name, to see what that one may: a stranger with a certificate of
the fleet's CA, a device that is revoked, one that is not there just now, an operator.

Nothing is retained and no device is told anything: what is said goes to an operator's name, which
no device may have, and to where a device's own Responses go, as one that nobody has asked for.
"""

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from limpet.brokers.rules import organisations
from limpet.doctor.facts import Own, Visit
from limpet.doctor.looks.visitor import ANSWER_S, Visitor, tls, tls_of
from limpet.identity import authority, device_config
from limpet.identity.authority import Authority, Identity
from limpet.identity.layout import Layout
from limpet.identity.operators import Operator
from limpet.shared import private
from limpet.shared.firmware import topics

# How long to wait for what has to come, and for what should not: what is delivered at all is
# delivered at once.
HEARD_S = ANSWER_S
FOREIGN_S = 1.0
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

    def visitor(self, name: str, identity: Identity) -> Visitor:
        """Return one who comes as `name` with a session of his own."""
        return Visitor(
            self.at, name, tls_of(self.layout.ca_certificate, self.server_name, identity)
        )


def stranger(place: Place) -> Visit | None:
    """Come with a certificate of the fleet's CA for a name that nobody has; None where the CA's key
    is not here. Raises Problem.
    """
    key = place.layout.ca / "ca.key"
    if not key.is_file():
        return None
    name = f"limpet-doctor-{secrets.token_hex(4)}"
    made = Authority(authority.load(key, place.layout.ca_certificate)).client(name, valid=_VALID)
    return _abroad(place, name, lambda: place.visitor(name, made))


def revoked(place: Place, name: str) -> Visit:
    """Come as a device that is revoked, with the certificate in its folder. Raises OSError,
    ValueError, Problem.
    """
    identity = own_identity(place.layout, name, "key.der", "cert.der")
    return _abroad(place, name, lambda: place.visitor(name, identity))


def device(place: Place, own: Own) -> Visit:
    """Come as a device that is not there just now, with its own certificate and password. Its
    session, and what waits there, stays as it is. Raises OSError, ValueError, Problem.
    """
    identity = own_identity(place.layout, own.name, own.config.key, own.config.cert)
    context = tls_of(place.layout.ca_certificate, place.server_name, identity)
    at, login = entrance(own.config, place.at)
    topic = f"{own.base}/{topics.RESPONSE}/limpet-doctor"
    payload = _response()
    with Visitor(at, own.name, context, login=login, theirs=True) as visitor:
        if why := visitor.connect():
            return Visit(own.name, False, why)
        new = not visitor.session
        visitor.publish(topic, payload)
        heard = place.witness.hears(topic, payload, HEARD_S)
        ended = visitor.closed
    found = Visit(own.name, True, asked=topic, heard=heard, ended=ended)
    if ended:  # it has come back itself
        return found
    abroad = _abroad(
        place, own.name, lambda: Visitor(at, own.name, context, login=login, theirs=True)
    )
    if new:  # ours was the first session of that name: it is not left behind
        with Visitor(at, own.name, context, login=login) as last:
            last.connect()
    return replace(found, read=abroad.read, wrote=abroad.wrote)


def takes_over(place: Place, victim: Visitor, other: Operator) -> bool:
    """Whether `other`, calling itself as the victim does, takes its place: both are operators of
    ours.
    """
    context = tls(place.layout.ca_certificate, place.server_name, (other.cert, other.key))
    with Visitor(place.at, victim.name, context) as thief:
        return thief.connect() == "" and victim.wait(lambda: victim.closed, FOREIGN_S)


def _abroad(place: Place, name: str, made: Callable[[], Visitor]) -> Visit:
    """See what somebody hears and says that is not his own. A broker may end a connection for what
    it does not allow: hence one for each.
    """
    with made() as reader:
        if why := reader.connect():
            return Visit(name, False, why)
        payload = place.payload()
        try:
            for each in place.filters():
                if not reader.closed:
                    # QoS 0: what comes is not to wait behind what the device has not acknowledged.
                    reader.subscribe(each, 0)
            place.witness.publish(place.topic, payload)
            reader.hears(place.topic, payload, FOREIGN_S)
        finally:
            reader.forget(place.filters())
        read = tuple(dict.fromkeys(each.topic for each in list(reader.heard)))
    with made() as writer:
        payload = place.payload()
        said = writer.connect() == "" and writer.publish(place.topic, payload)
        wrote = said and place.witness.hears(place.topic, payload, FOREIGN_S)
    return Visit(name, True, read=read, wrote=(place.topic,) if wrote else ())


def entrance(config: Any, at: tuple[str, int]) -> tuple[tuple[str, int], tuple[str, str] | None]:
    """Return where a device with this config gets in at the broker `at`, and its name and password,
    if it has such: for those mosquitto has another port.
    """
    if not config.username:
        return at, None
    ports = [port for host, port in device_config.brokers(config) if host == at[0]]
    return (at[0], ports[0] if ports else at[1]), (config.username, config.password)


def own_identity(layout: Layout, name: str, key: str, certificate: str) -> Identity:
    """Return what a device has in its folder. Raises OSError, ValueError, Problem."""
    folder = layout.device(name)
    found = load_der_private_key(private.read(folder / key), None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("its key is of another kind than limpet makes")
    return Identity(found, authority.load_certificate(folder / certificate))


def _response() -> bytes:
    said = {"v": 1, "id": secrets.token_hex(8), "status": "rejected", "code": "doctor"}
    said |= {"text": "limpet doctor looks whether this is heard", "ts": int(time.time())}
    return json.dumps(said, separators=(",", ":")).encode()
