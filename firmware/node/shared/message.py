"""What is to be published, and what a source of it looks like.

A source has, for the Link to pull from:

    peek(now) -> (key, Message) or None    the next one to send, without taking it
    sent(key)                              it is on its way: peek gives the next one
    done(key)                              the broker has acknowledged it: it may be forgotten
    rewind()                               the connection is gone: send again what is not done
    step(now) -> ms                        what it does by itself, up or not; when to call again.
                                           0 is for work that it would do then: what waits for the
                                           Link is no reason to come back, it is peeked at anyway
    save()                                 a reset is near: keep what is not done, if it can
    cut(key, size) -> bool                 only where Messages can be made smaller: make them no
                                           longer than `size` (0: than the heap allows) from now on;
                                           whether that changes the one that `key` has named

`key` is an int that names the Message within its source. After `rewind` a source gives the same
keys in the same order.
"""

import json
from collections import namedtuple

# topic str, payload bytes, qos 0 or 1, retain bool
Message = namedtuple("Message", "topic payload qos retain")


def encode(*members):
    """JSON object (bytes) of (name, value) pairs, in their order: MicroPython's dict has none."""
    texts = [
        '"%s":%s' % (name, json.dumps(value, separators=(",", ":"))) for name, value in members
    ]
    return ("{%s}" % ",".join(texts)).encode()
