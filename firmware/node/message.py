"""What is to be published, and what a source of it looks like.

A source has, for the Link to pull from:

    peek(now) -> (key, Message) or None    the next one to send, without taking it
    sent(key)                              it is on its way: peek gives the next one
    done(key)                              the broker has acknowledged it: it may be forgotten
    rewind()                               the connection is gone: what was sent and not done is to
    be sent again
    save()                                 keep what is not done over a reset, if there is a place
    for it

`key` is an int that names the Message within its source. After `rewind` a source gives the same
keys in the same order."""

from collections import namedtuple

# topic str, payload bytes, qos 0 or 1, retain bool
Message = namedtuple("Message", ("topic", "payload", "qos", "retain"))
