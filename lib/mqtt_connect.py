"""CONNECT, the first packet of a connection, in one piece: section 3.1 of MQTT 3.1.1; and what its
answer may say. The client imports it when it connects, so whoever is short of heap may let go of it
once that is up.
"""

from struct import pack

from mqtt_packets import begin, finish

# By CONNACK's return code, section 3.2.2.3.
_REFUSALS = (None, "protocol-version", "client-id", "unavailable", "credentials", "not-authorized")


def connect(client_id, keepalive_s, clean_session, will, login):
    """CONNECT (bytearray). will: topic, payload, QoS and retain, or None; login: user and password,
    the latter or both None.
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
    begin(packet, 0x10, b"MQTT", 0)
    packet += pack("!BBH", 4, flags, keepalive_s)
    packet += fields
    finish(packet)
    return packet


def _text(data):
    """`data`, a str or bytes of up to 65535 bytes, behind its length (section 1.5.3)."""
    if isinstance(data, str):
        data = data.encode()
    return pack("!H", len(data)) + data


def refusal(code):
    """The word for it."""
    return _REFUSALS[code] if code < len(_REFUSALS) else "protocol"
