"""The console of a node without an identity: bytes in, and what they tell onto flash.

Loaded only then. Nothing is echoed, and a node that has one, even one that is refused, takes none:
only erasing identity.json and identity.bak opens the door again.
"""

import gc
import os
import select
import sys
import time

from micropython import const, kbd_intr
from node.shared.log import logger
from node.shared.version import VERSION

from device.flash import access, replace

_CTRL_C = const(3)
# A UART at 115,200 baud holds 22 ms of what it hears (260 bytes, ports/esp32/mphalport.c), and has
# no way to say wait. A byte comes every 87 us; to understand one costs 40 turns of an empty loop
# (measured on a laptop; about 120 us on a chip), to collect it less. So a burst is collected whole,
# until there is silence, before any of it is looked at.
_SILENCE_MS = const(80)
_BURST = const(6400)
_BURST_MS = const(1000)  # twice as long as that takes; somebody who types is no burst
_LOOK_MS = const(50)
# What a reset would cut off: 128 bytes of a UART's buffer at 115,200 baud take 11 ms.
_SENT_MS = const(100)


def provisioned(rtc_state):
    """Listen until identity and settings are there: True. False when nobody is there to say
    anything (a laptop's closed stdin). KeyboardInterrupt.
    """
    import board
    from node.config.provisioning import Provisioning

    from device.boots import settings as place

    def keep(identity, settings, files):
        store(place(), identity, settings, files)

    log = logger(board.clock.now)
    device = "Limpet", VERSION, board.CHIP, board.NAME
    session = Provisioning(device, board.network, _loads, keep, sys.stdout.buffer.write, log)
    gc.collect()  # now rather than in the middle of a line: the UART holds 22 ms of it
    kbd_intr(-1)
    try:
        heard = _listen(session, board.clock.now, rtc_state)
    finally:
        kbd_intr(_CTRL_C)
    time.sleep_ms(_SENT_MS)
    return heard


def _listen(session, now, rtc_state):
    """Whether the session came to its end; else the console did."""
    burst = bytearray(_BURST)
    collect = _collector(burst)
    wait_ms = 0
    while not session.done:
        count = collect(wait_ms)
        if count < 0:
            return False
        at_ms = now()
        for at in range(count):
            session.heard(burst[at], at_ms)
        session.look(now())
        wait_ms = _LOOK_MS
        rtc_state.put("trial", None)  # a node that listens well has not died young
    return True


def _collector(burst):
    """`collect(wait_ms)`: puts what comes into `burst`, and returns how much; -1: nobody is there.

    A burst ends with a Ctrl-C, because what follows one may be for the REPL. Nothing is allocated
    for it: a collection of garbage would take half the time there is.
    """
    stdin = sys.stdin.buffer  # sys.stdin makes a newline of \r, and both are bytes of packets
    poll = select.poll()
    poll.register(sys.stdin, select.POLLIN)
    size, byte = len(burst), bytearray(1)

    def collect(wait_ms):
        count = key = 0
        began = time.ticks_ms()
        try:
            while count < size and key != _CTRL_C:
                if count & 63 == 63 and time.ticks_diff(time.ticks_ms(), began) > _BURST_MS:
                    break
                # One at a time: on a chip a read waits until it has all that was asked for.
                for _ in poll.ipoll(wait_ms):
                    if not stdin.readinto(byte):
                        return count or -1
                    burst[count] = key = byte[0]
                    count += 1
                    wait_ms = _SILENCE_MS
                    break
                else:
                    break
        except OSError:
            return -1
        return count

    return collect


def store(path, identity, settings, files):
    """Put credentials (dict of name and bytes), the settings, at `path`, and the identity that
    names the credentials on flash.

    The identity comes last, and by its rename: until then the node has none. What another attempt
    left is removed first, as there is a key in it. OSError.
    """
    for name in access(os.listdir):
        if name.split("-")[0] in ("ca", "cert", "key") and ".der" in name:
            access(os.remove, name)
    for name, data in files.items():
        replace(name, data)
    replace(path, settings)
    for name in ("identity.json", "identity.bak"):
        replace(name, identity)


def _loads(ca, cert, key):
    from tls_context import tls_context

    try:
        tls_context(ca, cert, key)
    except ValueError:
        return False
    return True
