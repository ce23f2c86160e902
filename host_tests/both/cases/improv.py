"""Cases of lib/improv.py: packets in a stream of whatever, in whatever pieces."""

import improv
from support.fuzz.chance import Random

# The specification's own example: its body, behind the header and before the checksum.
SETTINGS = b"\x01\x1e\x0cMyWirelessAP\x10mysecurepassword"
LOG = b"12.345 config missing: waits for IMPROV and IMPR and IIMPROV\x02\r\n"


def _packets() -> list:
    return [
        improv.wifi_settings("MyWirelessAP", "mysecurepassword"),
        improv.rpc(improv.CURRENT_STATE),
        improv.rpc(improv.DEVICE_INFO),
        improv.state(improv.PROVISIONED),
        improv.error(improv.UNABLE_TO_CONNECT),
        improv.result(improv.DEVICE_INFO, ("Name", "1.0", "esp32", "caf\u00e9")),
        improv.result(improv.WIFI_SETTINGS),
        # Every byte there is, those of the header and Ctrl-C among them.
        improv.packet(9, bytes(range(255))),
        improv.packet(9, b"IMPROV\x01IMPROV\x01\x03\x03\x03"),
        improv.packet(9, b""),
    ]


def _read(stream: bytes, reader: "improv.Reader | None" = None) -> tuple:
    """Return the packets, the text, and the number of bad packets in a stream."""
    reader = reader or improv.Reader()
    found, text, bad = [], bytearray(), 0
    for byte in stream:
        inside = reader.inside
        kind = reader.feed(byte)
        if kind == improv.TEXT:
            text.append(byte)
        elif kind == improv.START:
            assert text[-6:] == b"IMPROV"
            text = text[:-6]
        elif kind == improv.WHOLE:
            found.append((reader.type, reader.data))
        elif kind == improv.BAD:
            bad += 1
        assert inside == (kind not in (improv.TEXT, improv.START))
        assert reader.inside == (kind in (improv.START, improv.INSIDE))
    return found, bytes(text), bad


def _wanted() -> list:
    return [(each[7], each[9:-2]) for each in _packets()]


def case_form() -> None:
    """A packet is what the specification says, byte by byte."""
    whole = improv.wifi_settings("MyWirelessAP", "mysecurepassword")
    assert whole[:9] == b"IMPROV\x01\x03\x20"
    assert whole[9:-2] == SETTINGS
    assert whole[-2] == sum(whole[:-2]) & 0xFF
    assert whole[-1:] == b"\n"
    # The letters add up to 477, version, type, length and state to 5: 482 is 0x1E2.
    assert improv.state(improv.AUTHORIZED) == b"IMPROV\x01\x01\x01\x02\xe2\n"
    assert improv.result(improv.WIFI_SETTINGS)[7:-2] == b"\x04\x02\x01\x00"


def case_one_after_the_other() -> None:
    """Packets are found with and without the newline behind them, and nothing else is."""
    found, text, bad = _read(b"".join(_packets()))
    assert (found, bad) == (_wanted(), 0)
    assert text == b"\n" * len(found)
    assert _read(b"".join([each[:-1] for each in _packets()])) == (_wanted(), b"", 0)


def case_between_text() -> None:
    """Lines of a log between packets come out whole, a half header in them too."""
    found, text, bad = _read(LOG + LOG.join(_packets()) + LOG)
    assert (found, bad) == (_wanted(), 0)
    assert text == LOG + (b"\n" + LOG) * len(found)


def case_truncated() -> None:
    """No prefix of a packet is one; given up, it does not harm the next."""
    for whole in _packets():
        for end in range(len(whole) - 1):
            reader = improv.Reader()
            assert _read(whole[:end], reader)[0] == []
            assert reader.so_far == whole[7:end]
            reader.clear()
            assert not reader.inside
            assert _read(whole, reader)[0] == [(whole[7], whole[9:-2])]


def case_random_text() -> None:
    """Whatever stands before a packet, without a header in it: the packet is found."""
    random = Random(5)
    whole = improv.rpc(improv.DEVICE_INFO)
    for _ in range(300):
        noise = bytes([b"IMPROV\x01\x03\n x"[random.below(11)] for _ in range(random.below(40))])
        if b"IMPROV\x01" in noise + whole[:6]:
            continue
        found, text, bad = _read(noise + whole)
        assert (found, text, bad) == ([(3, b"\x03\x00")], noise + b"\n", 0), noise


def case_one_wrong_byte() -> None:
    """Any other byte in a packet's body: it is bad, or wants more; never another packet."""
    for whole in _packets()[:7]:
        for at in range(7, len(whole) - 1):
            for wrong in (whole[at] ^ 1, whole[at] ^ 0x80, 255 - whole[at]):
                reader = improv.Reader()
                stream = whole[:at] + bytes((wrong,)) + whole[at + 1 : -1]
                found, _, bad = _read(stream, reader)
                # A length that shrinks can hit upon a byte that fits as its checksum.
                assert at == 8 or not found, (whole, at)
                assert found or bad or reader.inside
                reader.clear()
                assert _read(whole, reader)[0] == [(whole[7], whole[9:-2])]


def case_one_byte_lost() -> None:
    """A serial line without flow control drops bytes: what is left is never the packet."""
    whole = improv.wifi_settings("MyWirelessAP", "mysecurepassword")
    for at in range(len(whole) - 1):
        found, _, _ = _read(whole[:at] + whole[at + 1 :])
        assert (3, SETTINGS) not in found, at


def case_too_long() -> None:
    """Nothing is made that no packet can hold."""
    for make, argument in (
        (lambda size: improv.packet(1, b"x" * size), 256),
        (lambda size: improv.rpc(1, b"x" * size), 254),
        (lambda size: improv.wifi_settings("x" * size), 256),
        (lambda size: improv.result(1, ["x" * 100] * size), 3),
    ):
        try:
            make(argument)
        except ValueError:
            continue
        raise AssertionError("taken")
    assert len(improv.packet(1, b"x" * 255)) == 266


def case_command() -> None:
    """Number and data of an RPC; each other length of the same bytes is refused."""
    assert improv.command(SETTINGS) == (1, SETTINGS[2:])
    assert improv.command(b"\x02\x00") == (2, b"")
    for end in range(len(SETTINGS)):
        assert _refused(improv.command, SETTINGS[:end])
    assert _refused(improv.command, SETTINGS + b"x")


def case_texts() -> None:
    """Texts of a result or of Wi-Fi settings; wrong lengths, and what is no UTF-8, are refused."""
    data = SETTINGS[2:]
    assert improv.texts(data) == ["MyWirelessAP", "mysecurepassword"]
    assert improv.texts(b"") == []
    assert improv.texts(b"\x00\x00") == ["", ""]
    fits = (0, 13)
    for end in range(len(data)):
        assert _refused(improv.texts, data[:end]) == (end not in fits), end
    assert _refused(improv.texts, b"\x02\xff\xfe")
    whole = improv.result(3, ("a", "", "caf\u00e9"))
    assert improv.texts(improv.command(whole[9:-2])[1]) == ["a", "", "caf\u00e9"]


def _refused(read, data: bytes) -> bool:  # type: ignore[no-untyped-def]
    try:
        read(data)
    except ValueError:
        return True
    return False
