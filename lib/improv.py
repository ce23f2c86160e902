"""Improv Wi-Fi over a serial line: packets out of a stream of bytes, and packets to send.

    "IMPROV", version 1, type, length, data, checksum; then a newline, which is no part of it

The specification is improv-wifi.com/serial; both sides are here, as the packets have one form. What
the specification leaves open is done as in ESPHome and in the JavaScript SDK of the same project:
the checksum is the low byte of the sum of all bytes before it, and a packet begins on a new line.

Pure: port, clock and network are the caller's, and what a text holds is not judged. It needs
nothing but the language, under either Python.
"""

# Types of packets.
STATE = 1
ERROR = 2
RPC = 3
RESULT = 4

# States.
AUTHORIZED = 2
PROVISIONING = 3
PROVISIONED = 4

# Errors.
NO_ERROR = 0
INVALID_RPC = 1
UNKNOWN_RPC = 2
UNABLE_TO_CONNECT = 3
UNKNOWN_ERROR = 255

# Commands.
WIFI_SETTINGS = 1
CURRENT_STATE = 2
DEVICE_INFO = 3
SCAN = 4

# What Reader.feed makes of a byte.
TEXT = 0
START = 1
INSIDE = 2
WHOLE = 3
BAD = 4

_HEADER = b"IMPROV\x01"
_BODY = 7  # where the type stands; the length is behind it
_HEADER_SUM = sum(_HEADER)
_DATA_MAX = 255


class Reader:
    """Finds packets in a stream that holds other text as well, fed byte by byte.

    Takes 258 bytes once and none while it reads. A byte that does not fit the header ends nothing
    but the header; a packet that stops in its middle has to be given up by the caller, who has a
    clock: `clear`.
    """

    def __init__(self):
        self._body = bytearray(2 + _DATA_MAX + 1)
        self._at = 0
        self._end = 0

    @property
    def inside(self):
        """Whether the next byte belongs to a packet, whatever it is."""
        return self._at >= _BODY

    def clear(self):
        """Give up the packet that is under way, or none."""
        self._at = 0

    def feed(self, byte):
        """Take one byte (int). Returns

        TEXT    it belongs to no packet; the letters of "IMPROV" are text until the next one
        START   it does, and so did the six letters before it, which the caller takes back
        INSIDE  it does
        WHOLE   it ends a packet, whose `type` and `data` can be had until the next byte
        BAD     it ends a packet whose checksum is wrong
        """
        at = self._at
        if at < _BODY:
            if byte == _HEADER[at]:
                self._at = at + 1
                return START if at == _BODY - 1 else TEXT
            # No other letter of the header is an I, so nothing that was matched can be a beginning.
            self._at = 1 if byte == 0x49 else 0
            return TEXT
        at -= _BODY
        self._body[at] = byte
        self._at += 1
        if at == 1:
            self._end = 2 + byte
            return INSIDE
        if at == 0 or at < self._end:
            return INSIDE
        self._at = 0
        return WHOLE if _sum(self._body, at) == byte else BAD

    @property
    def type(self):
        """The type of the packet (int)."""
        return self._body[0]

    @property
    def data(self):
        """The data of the packet (bytes), 0 to 255 of them. A copy."""
        return bytes(self._body[2 : self._end])

    @property
    def so_far(self):
        """What has come behind the header of a packet that is under way (bytes). A copy."""
        return bytes(self._body[: max(self._at - _BODY, 0)])


def packet(type, data):
    """A whole packet (bytes) and its newline. ValueError for more than 255 bytes of data."""
    if len(data) > _DATA_MAX:
        raise ValueError("too long")
    body = bytes((type, len(data))) + data
    return _HEADER + body + bytes((_sum(body, len(body)), 0x0A))


def state(value):
    """The packet that says the state, one of the three above."""
    return packet(STATE, bytes((value,)))


def error(value):
    """The packet that says the error, one of the five above."""
    return packet(ERROR, bytes((value,)))


def result(command, texts=()):
    """The packet that answers `command` (int) with texts (str). ValueError when they are longer
    than a packet.
    """
    return packet(RESULT, _rpc(command, _joined(texts)))


def rpc(command, data=b""):
    """The packet that asks for `command` (int), whose own data are in `data` (bytes)."""
    return packet(RPC, _rpc(command, data))


def wifi_settings(ssid, password=""):
    """The packet that hands over a network's name and password (str; "" for an open one)."""
    return rpc(WIFI_SETTINGS, _joined((ssid, password)))


def command(data):
    """Number and own data (int, bytes) of an RPC or a RESULT, from the packet's data. ValueError
    when its lengths do not fit.
    """
    if len(data) < 2 or data[1] != len(data) - 2:
        raise ValueError("length")
    return data[0], data[2:]


def texts(data):
    """The texts (list of str) in the own data of a RESULT or of WIFI_SETTINGS. ValueError when the
    lengths do not fit, or a text is not UTF-8.
    """
    found = []
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            raise ValueError("length")
        found.append(str(data[at + 1 : end], "utf-8"))  # UnicodeError is a ValueError
        at = end
    return found


def _rpc(number, data):
    if len(data) > _DATA_MAX - 2:
        raise ValueError("too long")
    return bytes((number, len(data))) + data


def _joined(texts):
    parts = []
    for text in texts:
        data = text.encode()
        if len(data) > _DATA_MAX:
            raise ValueError("too long")
        parts.append(bytes((len(data),)) + data)
    return b"".join(parts)


def _sum(data, end):
    total = _HEADER_SUM
    for at in range(end):
        total += data[at]
    return total & 0xFF
