# mypy: ignore-errors
"""What TLS and the interpreter allow: a loop that writes ready-made packets and counts PUBACKs."""

import select
import socket
import struct
import time

from bench_common import config, context, device_id, payload, say, settings, topic

count, window = settings["count"], settings["window"]

raw = socket.socket()
raw.connect(socket.getaddrinfo(config["broker"], config["port"])[0][-1])
io = context().wrap_socket(raw, server_hostname=config["broker"])


def text(data):
    """A string as MQTT has it."""
    return struct.pack("!H", len(data)) + data


body = b"\0\x04MQTT\x04\2\2\x58" + text(device_id.encode())
io.write(bytes((0x10, len(body))) + body)
if io.read(4) != b"\x20\2\0\0":
    raise SystemExit(1)
raw.setblocking(False)
raw.setsockopt(6, 1, 1)  # IPPROTO_TCP, TCP_NODELAY: no packet waits for the ACK of another
poll = select.poll()
poll.register(raw, select.POLLIN)

size = 2 + len(topic) + 2 + len(payload)
packet = bytearray(bytes((0x32, size & 127 | 128, size >> 7)) + text(topic) + b"\0\0" + payload)
at = 5 + len(topic)


def run():
    """Seconds for all. A function, whose variables are quicker than a module's."""
    buffer = bytearray(256)
    sent = heard = 0
    began = time.ticks_us()
    while heard < count * 4:
        while sent < count and sent - heard // 4 < window:
            sent += 1
            struct.pack_into("!H", packet, at, sent % 65535 + 1)
            io.write(packet)
        got = io.readinto(buffer)
        if got:
            heard += got
        else:
            poll.poll(1000)
    return time.ticks_diff(time.ticks_us(), began) / 1e6


say(s=run())
