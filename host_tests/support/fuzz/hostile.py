"""Prints what hostile Commands cost the node in heap and time. Runs under MicroPython alone."""

import gc
import time

from support.parts.rig import TOPIC, Rig


def _filled(start: bytes, filling: bytes, end: bytes) -> bytes:
    """A Command of at most 1 KB."""
    return start + filling * ((1024 - len(start) - len(end)) // len(filling)) + end


KEYS = b",".join(b'"%02d":"%s"' % (number, b"x" * 24) for number in range(28))
PAYLOADS = (
    b"[" * 1024,
    b"{" * 1024,
    b'{"a":' * 204,
    b'{"id":"o","params":' + b"[" * 1000,
    b'{"id":"l","action":"ping","params":{"x":' + b"[" * 6 + b"]" * 6 + b"}}",
    _filled(b'{"id":"s","action":"', b"x", b'"}'),
    _filled(b'{"id":"e","action":"', b"\\u0041", b'"}'),
    _filled(b'{"id":"', b"x", b'"}'),
    _filled(b'{"', b"x", b'":1}'),
    _filled(b'{"id":"w","action":"ping"', b" ", b"}"),
    _filled(b'{"id":"n","ts":', b"9", b"}"),
    _filled(b'{"id":"f","ts":0.', b"9", b"}"),
    b'{"id":"k","action":"ping","params":{%s}}' % KEYS,
    b'{"id":"d","action":"ping","params":[' + b",".join([b"1e300"] * 50) + b"]}",
    b'{"id":"x","action":"ping"' + b" " * 60000 + b"}",
)


def measure() -> None:
    """Print `heap bytes`, `microseconds`, and the beginning, of each payload."""
    rig = Rig()
    rig.raw(b'{"id":"warm","action":"ping"}')
    rig.raw(b'{"id":"up"')
    for payload in PAYLOADS:
        gc.collect()
        gc.disable()
        began = time.ticks_us()  # type: ignore[attr-defined]
        before = gc.mem_alloc()  # type: ignore[attr-defined]
        rig.router.on_message(TOPIC, payload, False, False)
        heap = gc.mem_alloc() - before  # type: ignore[attr-defined]
        took = time.ticks_diff(time.ticks_us(), began)  # type: ignore[attr-defined]
        gc.enable()
        print(heap, took, payload[:36])
