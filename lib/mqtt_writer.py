"""MQTT 3.1.1 packets as bytes, each in one piece: one write, and hence one TLS record.

What it will not do: check what it is given, keep anything, or know about sockets: it runs on any
Python.
"""


def packet(first, *parts):
    """The packet (bytes) that begins with the byte `first` and holds `parts` (bytes); 2.2."""
    size = 0
    for part in parts:
        size += len(part)
    head = bytearray((first,))
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return b"".join((head,) + parts)


def number(value):
    """`value`, 0 to 65535, as two bytes."""
    return bytes((value >> 8, value & 255))


def text(data):
    """`data`, a str or bytes of up to 65535 bytes, behind its length (section 1.5.3)."""
    data = encoded(data)
    return number(len(data)) + data


def encoded(data):
    """A str as bytes; bytes as they are."""
    return data.encode() if isinstance(data, str) else data


def connect(client_id, keepalive_s, clean_session, will, login):
    """CONNECT, section 3.1. will: topic, payload, QoS and retain, or None; login: user and
    password, the latter or both None.
    """
    flags = clean_session << 1
    fields = [text(client_id)]
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | retain << 5
        fields += (text(topic), text(payload))
    for flag, each in zip((0x80, 0x40), login):
        if each is None:
            break
        flags |= flag
        fields.append(text(each))
    return packet(0x10, b"\0\x04MQTT\x04", bytes((flags,)), number(keepalive_s), *fields)
