"""The simple network time protocol, client mode (RFC 4330, packets as in RFC 5905): bytes out,
bytes in, Unix time.

A request carries nothing but a random number where its time of sending would be: the server copies
it into the reply, so that a reply to another request, or to nobody, is told at a glance, and the
server learns nothing of this clock.

Pure: sending, waiting and choosing a server are the caller's. It proves nothing: whoever can
read the request can answer it.
"""

import struct

PORT = 123
SIZE = 48  # what is behind it (extensions, a checksum) is not needed here
NONCE_SIZE = 8

LATEST = 4_102_444_800  # 2100-01-01: nothing of this lives longer, and the era ends in 2104

_CLIENT = 0x23  # no leap warning, version 4, mode 3
_SERVER_MODE = 4
_UNSYNCHRONISED = 3
_LAST_STRATUM = 15
_FROM_1900_S = 2_208_988_800  # from 1900-01-01 to 1970-01-01
_ERA_S = 1 << 32


class Refused(Exception):
    """The server answered, and its answer is not to be used. `reason` is a word for the log.

    kiss: the server does not want to be asked (stratum 0, RFC 4330 section 8). unsynchronised: it
    does not know the time itself. absurd: nobody can be asking at that time.
    """

    def __init__(self, reason):
        super().__init__(reason)
        self.reason = reason


def request(nonce):
    """The packet to send (bytes); `nonce` is NONCE_SIZE random bytes, new ones each time."""
    if len(nonce) != NONCE_SIZE:
        raise ValueError("nonce")
    return struct.pack("!B39s8s", _CLIENT, b"", nonce)


def read(packet, nonce, earliest):
    """Unix time in ms at which the server sent `packet` (bytes), which must answer `nonce`.

    None for what is no answer to that request: go on listening. Raises Refused for an answer not to
    be used, which includes any time before `earliest` or from LATEST on, in Unix seconds.
    """
    # RFC 4330 section 5 lists the checks. The one for the request comes first: a stranger must not
    # be able to have a server refused.
    if len(packet) < SIZE or packet[0] & 7 != _SERVER_MODE or packet[24:32] != nonce:
        return None
    stratum = packet[1]
    if stratum == 0:
        raise Refused("kiss")
    if packet[0] >> 6 == _UNSYNCHRONISED or stratum > _LAST_STRATUM:
        raise Refused("unsynchronised")
    seconds, fraction = struct.unpack_from("!II", packet, 40)
    if not seconds & 0x80000000:
        seconds += _ERA_S  # it has wrapped: from 2036-02-07 on (RFC 4330 section 3)
    unix = seconds - _FROM_1900_S
    # All zero stands for no time, not for the very first one of the next era.
    if not (seconds - _ERA_S or fraction) or not earliest <= unix < LATEST:
        raise Refused("absurd")
    return unix * 1000 + (fraction * 1000 >> 32)
