"""MQTT 3.1.1 packets as bytes, each in one piece: one write, and hence one TLS record.

What it will not do: check what it is given, keep anything, or know about sockets: it runs on any
Python.
"""

from struct import pack

# The slice of `packet[:]`, which would be a new one each time: MicroPython has no `slice(None)`.
_ALL = type("", (), {"__getitem__": lambda self, which: which})()[:]


def publish(packet, first, topic, packet_id, payload):
    """Make `packet` (bytearray) a PUBLISH that begins with the byte `first`; section 3.3.

    packet_id: 0 for QoS 0. topic, payload: str or bytes. `packet` keeps the memory it has: once it
    has been as long, nothing is asked of the heap.
    """
    if isinstance(topic, str):
        topic = topic.encode()
    if isinstance(payload, str):
        payload = payload.encode()
    size = len(topic) + len(payload) + (4 if packet_id else 2)
    _begin(packet, first, size)
    size = len(topic)
    packet.append(size >> 8)
    packet.append(size & 255)
    packet += topic
    if packet_id:
        packet.append(packet_id >> 8)
        packet.append(packet_id & 255)
    packet += payload


def _begin(packet, first, size):
    packet[_ALL] = b""
    packet.append(first)
    while size > 127:
        packet.append(size & 127 | 128)
        size >>= 7
    packet.append(size)


def subscribe(packet_id, topic, qos):
    """SUBSCRIBE (bytearray) to one topic, a str or bytes; section 3.8."""
    packet = bytearray()
    body = pack("!H", packet_id) + _text(topic) + bytes((qos,))
    _begin(packet, 0x82, len(body))
    packet += body
    return packet


def _text(data):
    """`data`, a str or bytes of up to 65535 bytes, behind its length (section 1.5.3)."""
    if isinstance(data, str):
        data = data.encode()
    return pack("!H", len(data)) + data


def connect(client_id, keepalive_s, clean_session, will, login):
    """CONNECT, section 3.1. will: topic, payload, QoS and retain, or None; login: user and
    password, the latter or both None.
    """
    flags = clean_session << 1
    fields = _text(client_id)
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | retain << 5
        fields += _text(topic) + _text(payload)
    for flag, each in zip((0x80, 0x40), login):
        if each is None:
            break
        flags |= flag
        fields += _text(each)
    # The name of the protocol lies where a PUBLISH has its topic.
    packet = bytearray()
    publish(packet, 0x10, b"MQTT", 0, pack("!BBH", 4, flags, keepalive_s) + fields)
    return packet
