"""When a part wants its turn, and what a source of Messages looks like.

A part is run by the supervisor when it is due, and only then:

    due        milliseconds on the clock of `now`, or None: not until something is asked of it
    run(now)   called when now >= due. Afterwards `due` lies ahead, or is None; one that does not is
               a bug, which is counted, and put off by a second

Whoever asks something of a part calls a method of it, which moves its `due` up. A source is a part
that the Link pulls from, and has besides:

    ready      whether there is a Message that can go now: it is at hand, its time is known or will
               never be, and no rate holds it; while one does, `due` says how long
    peek(now)  -> key of the next one to send, without taking it. Asked only when `ready`
    topic, qos            of what was peeked at last. Only the status is retained
    write(packet)         append its payload to `packet`, a bytearray. Right after `peek`, at most
               once: whatever else is asked of the source may change what is next
    sent(key)  it is on its way: peek gives the next one
    done(key)  the broker has acknowledged it: it may be forgotten
    rewind()   the connection is gone: send again what is not done
    save()     a reset is near: keep what is not done, if it can
    cut(key, size) -> bool    only where Messages can be made smaller: make them no longer than
               `size` (0: than the heap allows) from now on; whether that changes the one that `key`
               has named

What has to wait for a time (for a rate, or flash) is due then. What is ready wakes nobody, however
long it waits for the Link: that looks at the sources whenever a part was run, and when the broker
has said something. `due` and `ready` are attributes, or cost as little.

`key` is an int that names the Message within its source. After `rewind` a source gives the same
keys in the same order. Nothing is made for one call: a Message is never an object of its own, as
one goes out for each Reading.
"""

import json


def encode(*members):
    """JSON object (bytes) of (name, value) pairs, in their order: MicroPython's dict has none."""
    texts = [
        '"%s":%s' % (name, json.dumps(value, separators=(",", ":"))) for name, value in members
    ]
    return ("{%s}" % ",".join(texts)).encode()
