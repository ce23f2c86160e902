"""MQTT 3.1.1 packets, out (but for CONNECT: mqtt_connect.py) and in. Out: bytes in one piece, for
one write and hence one TLS record. In: packets out of a stream of bytes.

The reader's buffer is allocated once; beside it the network can make this use a topic and a
payload, each of a length that is said. A packet is handed over when it is whole; one that is longer
than the buffer is handed over when the buffer is full, and the rest is skipped as it comes.

What it is given to send is not checked, and it raises nothing. It knows no sockets, so it runs on
any Python.
"""

from struct import pack

# The slices of `packet[:]` and `packet[2:3]`, which would be new ones each time: MicroPython has no
# `slice(None)`.
_SLICES = type("", (), {"__getitem__": lambda self, which: which})()
_ALL = _SLICES[:]
_SECOND = _SLICES[2:3]  # of the length, for which `begin` leaves two bytes
del _SLICES

# First byte of what a broker may send to a client that subscribes to one topic at a time, and the
# length of its body: CONNACK, PUBACK, PUBREL, SUBACK, UNSUBACK, PINGRESP, and DISCONNECT: MQTT 5's,
# but some say it to whom they throw out. Any other flags must end the connection (section 2.2.2).
# PUBLISH is the rest.
_SIZES = {0x20: 2, 0x40: 2, 0x62: 2, 0x90: 3, 0xB0: 2, 0xD0: 0, 0xE0: 0}


def begin(packet, first, topic, packet_id):
    """Make `packet` (bytearray) the front of a PUBLISH that begins with the byte `first`; section
    3.3. What is appended to it from now on is its payload, until `finish`.

    topic: bytes; in MicroPython, which appends its UTF-8, also str. packet_id: 0 for QoS 0.
    `packet` keeps the memory it has: once it has been as long, nothing is asked of the heap.
    """
    packet[_ALL] = b"\0\0\0\0\0"
    packet[0] = first
    packet += topic
    size = len(packet) - 5
    packet[4] = size & 255
    if size > 255:
        packet[3] = size >> 8
    if packet_id:
        packet.append(packet_id >> 8)
        packet.append(packet_id & 255)


def finish(packet):
    """Say in its front how long `packet` has become, up to 2 MB; section 2.2.3."""
    size = len(packet) - 3
    if size < 128:
        packet[_SECOND] = b""
    elif size < 16384:
        packet[2] = size >> 7
        size = size & 127 | 128
    else:
        packet[_SECOND] = bytes((size >> 7 & 127 | 128, size >> 14))
        size = size & 127 | 128
    packet[1] = size


def subscribe(packet_id, topic, qos):
    """SUBSCRIBE (bytearray) to one topic, a str or bytes, section 3.8; with qos None UNSUBSCRIBE,
    section 3.10.
    """
    if isinstance(topic, str):
        topic = topic.encode()
    packet = bytearray((0x82 if qos is not None else 0xA2, 0, 0))
    packet += pack("!HH", packet_id, len(topic)) + topic
    if qos is not None:
        packet.append(qos)
    finish(packet)
    return packet


class Reader:
    """Read from a stream into `space`, then take `packet()` as long as there is something `left`.

    Made with the `size` of its buffer, and of how much of a topic, and of a payload, is handed over
    at `most`; both in bytes.

    space: where the next bytes go, a memoryview that is not empty. left: whether there may be
    another packet among those that have come.
    body, after: where in `buffer` the packet's body begins, and where it ends.
    number: its first two bytes: a packet id, what a CONNACK says, the length of a topic.
    """

    def __init__(self, size, most):
        self.buffer = bytearray(size)
        self._view = memoryview(self.buffer)
        self._most = most
        self.clear()

    def clear(self):
        """Forget everything: a new connection begins."""
        self.space = self._view
        self.left = self.number = self.body = self.after = 0
        self._start = self._end = self._skip = 0

    def packet(self, count=0):
        """First byte of the next packet, or None: more bytes are needed. 0, which is no packet's:
        the stream is not MQTT, and cannot be trusted from here on. Section 2.2.

        count: of bytes that were put into `space` since the last call. The packet counts as taken,
        whatever its handling comes to.
        """
        start = self._start
        end = self._end = self._end + count
        if self._skip:
            start = min(self._skip, end)
            self._skip -= start
        at = start + 2
        if at > end:
            return self._more(start)
        first = self.buffer[start]
        size = self.buffer[start + 1]
        if size > 127:
            size = self._size(start)
            if size is None:
                return self._more(start)
            at = self.body
        if size < 0 or (first & 0xF0 != 0x30 and _SIZES.get(first) != size):
            return 0
        self.body = at
        at += size
        if at >= end:
            if at > end:
                if start or end < len(self.buffer):
                    return self._more(start)
                # What there is to know about a packet stands at its front.
                self._skip = at - end
            self.after = end
            self._start = self._end = self.left = 0
            self.space = self._view
        else:
            self._start = self.after = at
            self.left = end - at
        if size > 1:
            at = self.body
            self.number = self.buffer[at] << 8 | self.buffer[at + 1]
        return first

    def _size(self, start):
        # Of a packet with more than one byte for it. None: it is not whole; -1 is no packet's.
        size = shift = 0
        for at in range(start + 1, min(start + 5, self._end)):
            byte = self.buffer[at]
            size |= (byte & 127) << shift
            if byte < 128:
                self.body = at + 1
                return size
            shift += 7
        return None if shift < 28 else -1

    def _more(self, start):
        # What there is of a packet goes to the front.
        rest = self._end - start
        view = self._view
        if start and rest:
            view[:rest] = view[start : self._end]  # moved, not copied
        self._start = self.left = 0
        self._end = rest
        self.space = view[rest:] if rest else view

    def publish(self, first):
        """Of a PUBLISH that begins with the byte `first`: topic (str), packet id (0 for QoS 0),
        payload (bytes), and whether that is all of it. If not, the payload is the front of it; a
        topic that is too long is "". Without heap for either: "" and None. Section 3.3.

        None for what is no MQTT: QoS 3, no id, an empty topic, one that is not UTF-8, and lying
        lengths.
        """
        at = self.body + 2
        start = end = at + self.number
        qos = first & 6
        if qos:
            start += 2
        if qos == 6 or end == at or start > self.after:
            return None
        packet_id = 0
        if qos:
            packet_id = self.buffer[end] << 8 | self.buffer[end + 1]
            if not packet_id:
                return None
        view, stop = self._view, self.after
        whole = not self._skip
        if stop - start > self._most:
            stop = start + self._most
            whole = False
        if end - at > self._most:
            at = end
            whole = False
        try:
            return str(view[at:end], "utf-8"), packet_id, bytes(view[start:stop]), whole
        except UnicodeError:
            return None  # section 1.5.3
        except MemoryError:
            return "", packet_id, None, False
