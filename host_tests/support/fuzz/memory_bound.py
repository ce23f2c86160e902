"""Prints what the costliest packets of a hostile broker take of the node's heap. Runs under
MicroPython alone.
"""

import gc

from support.fuzz.broker import Wire
from support.fuzz.common import BASE
from support.fuzz.payloads import Command, Status
from umqtt_tls import MQTTClient

TOPIC = (BASE + "/commands").encode()


class Packets(Wire):
    """A broker that says one packet in each step, and takes everything."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[bytes] = []
        self._said = 0
        self._pause = False

    def write(self, packet: bytes) -> int:
        """Take everything at once."""
        return len(packet)

    def readinto(self, space: memoryview) -> "int | None":
        """Give the next piece of a packet; nothing between two of them."""
        if not self.packets:
            return None
        self._pause = not self._pause
        if not self._pause:
            return None
        rest = memoryview(self.packets[0])[self._said :]
        count = min(len(space), len(rest))
        space[:count] = rest[:count]
        self._said += count
        if count == len(rest):
            self.packets.pop(0)
            self._said = 0
        return count


def publish(topic: bytes, payload: bytes, qos: int, number: int) -> bytes:
    """Return a PUBLISH."""
    body = bytes((len(topic) >> 8, len(topic) & 255)) + topic
    body += bytes((number >> 8, number & 255)) * (qos > 0) + payload
    size, length = len(body), b""
    while size > 127:
        length += bytes((size & 127 | 128,))
        size >>= 7
    return bytes((0x30 | qos << 1,)) + length + bytes((size,)) + body


def command(number: int) -> bytes:
    """Return the costliest Command: 1 KB, as many members as may be."""
    keys = ",".join([f'"{key:02}":"xxxxxxxxxxxxxxxxxxxxxxxx"' for key in range(27)])
    return b'{"id":"%03d","action":"ping","params":{%s}}' % (number, keys.encode())


def nested(number: int) -> bytes:
    """Return a Command that is a list of lists as deep and as wide as may be."""
    lists = ",".join(["[%s]" % ("[" * 3 + "]" * 3)] * 7)
    return b'{"id":"n%03d","action":"ping","params":{"x":[%s]}}' % (number, lists.encode())


def floods() -> "list[tuple[str, list[bytes]]]":
    """Return packets by name."""
    return [
        ("Commands of 1 KB", [publish(TOPIC, command(n), 1, n + 1) for n in range(20)]),
        ("nested Commands", [publish(TOPIC, nested(n), 1, n + 1) for n in range(20)]),
        ("Commands carried out", [
            publish(TOPIC, b'{"id":"s%d","action":"get_status"}' % n, 1, n + 1) for n in range(20)
        ]),
        ("Commands that are too long", [publish(TOPIC, b"[" * 1025, 1, n + 1) for n in range(20)]),
        ("status of 1 KB", [publish(BASE.encode() + b"/status", b"," * 1025, 1, 1)] * 20),
        ("a topic of 1 KB", [publish(b"t" * 1025, b"", 0, 0)] * 20),
        ("60,000 bytes", [publish(TOPIC, b"x" * 60_000, 1, 7)]),
        ("QoS 2", [publish(TOPIC, b"x" * 1025, 2, n + 1) for n in range(32)]),
        ("PUBACKs for nothing", [b"\x40\x02\x12\x34"] * 100),
    ]  # fmt: skip


def measure() -> None:
    """Print what a packet of each flood took at most, garbage included, and what all have left."""
    wire, router, status = Packets(), Command(), Status()
    room = len(TOPIC) + 1034, 1025  # as settings.client has them
    client = MQTTClient("node-1", "broker", max_packet=room[0], max_payload=room[1])
    client._transport = wire  # type: ignore[assignment]

    def heard(topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        to = status if topic == BASE + "/status" else router
        to.heard(topic, payload, retained, dup)

    client.on_message = heard  # type: ignore[method-assign]
    client.start(0)
    wire.packets = [b"\x20\x02\x00\x00"]
    for _ in range(10):
        client.step(0)
    # The last Commands and their Responses are there already.
    wire.packets = [packet for _, packets in floods() for packet in packets[:9]]
    wire.packets = [packet for packet in wire.packets if packet[0] != 0x34]
    while wire.packets:
        client.step(0)
    gc.collect()
    start = gc.mem_alloc()  # type: ignore[attr-defined]
    for name, packets in floods():
        wire.packets = packets
        worst = 0
        while wire.packets:
            gc.collect()
            gc.disable()
            before = gc.mem_alloc()  # type: ignore[attr-defined]
            client.step(0)
            client.step(0)
            worst = max(worst, gc.mem_alloc() - before)  # type: ignore[attr-defined]
            gc.enable()
        if client.state != "up":
            raise AssertionError(name)
        print(worst, name)
    del packets
    gc.collect()
    print(gc.mem_alloc() - start, "kept")  # type: ignore[attr-defined]
