"""MQTT 3.1.1 packets, out and in. Out: bytes in one piece, for one write and hence one TLS record.
In: packets out of a stream of bytes.

The reader's buffer is allocated once and is all that the network can make this use. A packet is
handed over when it is whole; one that is longer than the buffer is handed over when the buffer is
full, with `missing` telling how many of its bytes will be skipped as they come.

What it is given to send is not checked, and it raises nothing but Malformed. It knows no sockets,
so it runs on any Python.
"""

from struct import pack

# The slice of `packet[:]`, which would be a new one each time: MicroPython has no `slice(None)`.
_ALL = type("", (), {"__getitem__": lambda self, which: which})()[:]

# First byte of what a broker may send to a client that subscribes to one topic at a time, and the
# length of its body: CONNACK, PUBACK, PUBREL, SUBACK, PINGRESP, and DISCONNECT: MQTT 5's, but some
# say it to whom they throw out. Any other flags must end the connection (section 2.2.2). PUBLISH is
# the rest.
_SIZES = {0x20: 2, 0x40: 2, 0x62: 2, 0x90: 3, 0xD0: 0, 0xE0: 0}


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


class Malformed(Exception):
    """The stream is not MQTT, and cannot be trusted from here on."""

    cause = "protocol"


class Reader:
    """Fill it from a stream with `fill()`, then take `packet()` until that is None.

    body, after: where in `buffer` the packet's body begins, and where it ends.
    missing: bytes of the packet that the buffer has no room for; 0 for a packet that is whole.
    """

    def __init__(self, size):
        self.buffer = bytearray(size)
        self.body = self.after = 0
        self._view = memoryview(self.buffer)
        self.clear()

    def clear(self):
        """Forget everything: a new connection begins."""
        self.missing = self._start = self._end = self._skip = 0

    def fill(self, stream):
        """Take in what `stream.readinto` puts into the free part of the buffer, which is not empty
        once `packet()` has returned None. Returns what it returned: the count of bytes, or None.
        """
        end = self._end
        count = stream.readinto(self._view[end:] if end else self._view)
        if count:
            self._end += count
            if self._skip:
                self.missing = 0
                self._start = min(self._skip, self._end)
                self._skip -= self._start
        return count

    def packet(self):
        """First byte of the next packet, or None: more bytes are needed. Section 2.2.

        The packet counts as taken, whatever its handling comes to. Raises Malformed.
        """
        start = self._start
        end = self._end
        if start == end:
            self._start = self._end = 0
            return None
        at = start + 1
        size = shift = 0
        while at < end:
            byte = self.buffer[at]
            at += 1
            size |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 21:
                raise Malformed
        else:
            return self._to_front()
        first = self.buffer[start]
        if first & 0xF0 != 0x30 and _SIZES.get(first) != size:
            raise Malformed
        self.body = at
        at += size
        if at > end:
            if start or end < len(self.buffer):
                return self._to_front()
            # What there is to know about a packet stands at its front.
            self.missing = self._skip = at - end
            at = end
        self._start = self.after = at
        return first

    def _to_front(self):
        rest = self._end - self._start
        if self._start:
            self._view[:rest] = self._view[self._start : self._end]  # moved, not copied
        self._start, self._end = 0, rest

    def number(self, at):
        """The two bytes at `at` as a number. Raises Malformed if they are beyond the packet."""
        if at + 2 > self.after:
            raise Malformed
        return self.buffer[at] << 8 | self.buffer[at + 1]

    def publish(self, first):
        """Of a PUBLISH that begins with the byte `first`: topic (str), packet id (0 for QoS 0), and
        payload (bytes: the front of it, if some is missing). Without heap for topic or payload:
        "" or None. Section 3.3.

        Raises Malformed for QoS 3, an empty topic, one that is not UTF-8, and lying lengths.
        """
        at = self.body + 2
        end = at + self.number(self.body)
        qos = first >> 1 & 3
        if qos == 3 or end == at or end > self.after:
            raise Malformed
        packet_id = 0
        start = end
        if qos:
            packet_id = self.number(end)
            start += 2
            if not packet_id:
                raise Malformed
        view = self._view
        try:
            return str(view[at:end], "utf-8"), packet_id, bytes(view[start : self.after])
        except UnicodeError:
            raise Malformed  # section 1.5.3
        except MemoryError:
            return "", packet_id, None
