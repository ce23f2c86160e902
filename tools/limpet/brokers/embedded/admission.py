"""Admission: a client's name from its certificate, its CONNECT, and whether it may come in.

What is refused is said by an exception.
"""

import ssl
from typing import Any, NamedTuple

from amqtt.adapters import BufferReader, ReaderAdapter
from amqtt.errors import AMQTTError, CodecError, MQTTError, NoDataError
from amqtt.mqtt.connack import (
    BAD_USERNAME_PASSWORD,
    IDENTIFIER_REJECTED,
    NOT_AUTHORIZED,
    SERVER_UNAVAILABLE,
    UNACCEPTABLE_PROTOCOL_VERSION,
)
from amqtt.mqtt.connect import ConnectPacket

from limpet.brokers import rules
from limpet.identity import passwords
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem

CONNECT_BYTES = 8192
_CONNECT_PACKET = 0x10
_MQTT = b"\x00\x04MQTT"
_LEVEL_3_1_1 = b"\x04"


class Client(NamedTuple):
    """The CN of a client's certificate, '' that nobody is called, and its serial number, as the
    registry has it.
    """

    name: str
    serial: str


class Refused(Exception):
    """A CONNECT not accepted: CONNACK `code` (MQTT 3.1.1 section 3.2.2.3), and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def admit(layout: Layout, client: Client, connect: ConnectPacket) -> rules.Grant:
    """Return what the client may do in this session; raises Refused."""
    name = client.name
    try:
        grant = rules.grant(name, layout.bases(), layout.consumers())
        revoked = client.serial in layout.registered().revoked
    except (OSError, Problem) as error:
        raise Refused(SERVER_UNAVAILABLE, f"who is who cannot be read: {error}") from None
    if grant is None:
        raise Refused(NOT_AUTHORIZED, "the certificate's name is in no registry, or revoked")
    if revoked:
        raise Refused(NOT_AUTHORIZED, "the certificate is revoked")
    if connect.client_id != name:
        raise Refused(IDENTIFIER_REJECTED, "the client id is not the certificate's name")
    if connect.username_flag:
        password = connect.password if connect.password_flag else None
        # A second factor: the certificate says who it is, the password has to agree.
        right = connect.username == name and password is not None
        if not right or not passwords.right(layout, name, str(password)):
            raise Refused(BAD_USERNAME_PASSWORD, "wrong username or password")
    if connect.will_flag and not grant.may_write(str(connect.will_topic)):
        # [8] amqtt publishes a will without asking anybody.
        raise Refused(NOT_AUTHORIZED, "the will's topic is not the client's own")
    return grant


def client_of(tls: ssl.SSLObject | None) -> Client:
    """Return who a verified certificate says it is; a name '' where there is none."""
    certificate = tls.getpeercert() if tls else None
    if not certificate:
        return Client("", "")
    subject: Any = certificate["subject"]
    names = [value for part in subject for key, value in part if key == "commonName"]
    serial = f"{int(str(certificate['serialNumber']), 16):x}"
    return Client(str(names[0]) if len(names) == 1 else "", serial)


async def read_connect(reader: ReaderAdapter) -> bytes:
    """Return the first packet, whole; raises MQTTError if no CONNECT, EOFError if cut short."""
    raw = await reader.read(1)
    if raw[0] != _CONNECT_PACKET:
        raise MQTTError("the first packet is no CONNECT")
    length = shift = 0
    while True:
        raw += await reader.read(1)
        length |= (raw[-1] & 0x7F) << shift
        shift += 7
        if raw[-1] < 0x80:
            break
        if shift > 21:
            raise MQTTError("the packet's length is malformed")
    if length > CONNECT_BYTES:
        raise MQTTError("the CONNECT is too long")
    body = await reader.read(length)
    if not body.startswith(_MQTT):
        raise MQTTError("the first packet is no CONNECT of MQTT")
    if body[len(_MQTT) : len(_MQTT) + 1] != _LEVEL_3_1_1:
        # [7] An MQTT 5 client would get no answer at all.
        raise Refused(
            UNACCEPTABLE_PROTOCOL_VERSION,
            "speaks another MQTT than 3.1.1; who can, comes back with that",
        )
    return raw + body


async def decode(raw: bytes) -> ConnectPacket:
    """Return the CONNECT in `raw`; raises MQTTError when it is malformed."""
    try:
        return await ConnectPacket.from_stream(BufferReader(raw))
    except (AMQTTError, CodecError, NoDataError, ValueError, LookupError) as error:
        raise MQTTError(f"malformed CONNECT ({type(error).__name__})") from None
