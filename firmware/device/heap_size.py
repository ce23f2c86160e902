"""Lets the interpreter's heap grow to what the node needs, before the node is loaded, and then no
further: else TLS finds no memory on a chip that has 320 KB for everything.

MicroPython's heap begins with 56 KB and doubles when it is full (py/gc.c). What it takes is lost to
the chip's own heap, from which a TLS handshake needs 33 KB, and Wi-Fi 15 KB while Messages are on
their way. It cannot take what somebody else holds: so threads, which do nothing, have all but the
node's share for their stacks until the heap has grown.

It does nothing on a laptop, or on a chip that can afford the doubling, and it does not keep the
heap from growing again, should the node need more.
"""

import gc
import time

from micropython import const

# The node as byte code takes 71 KB, with all that answers Commands 82 KB.
_HEAP = const(95 * 1024)
# What doubling would have to leave of the chip's heap: to join Wi-Fi, for TLS, for Messages.
_REST = const(72 * 1024)
_SPARE = const(12 * 1024)  # for the chip meanwhile; `idf_min` of health can say no more than that
_STEP = const(4096)  # the chip knows its longest piece no better
_TICKS_MS = const(50)  # in which it takes back the stacks of threads that have ended


def grow():
    """Let the heap grow. Returns what has to be kept for that to last; None: it has not grown."""
    try:
        import _thread

        import esp32
        from network import STA_IF, WLAN
    except ImportError:
        return None

    def longest():
        return max([each[2] for each in esp32.idf_heap_info(esp32.HEAP_DATA)])

    def wait(lock):
        with lock:
            pass

    def hold(size, lock):
        _thread.stack_size(size)
        _thread.start_new_thread(wait, (lock,))

    WLAN(STA_IF)  # takes 35 KB, and aborts the chip if it cannot
    gc.collect()
    piece, taken = longest(), gc.mem_alloc()
    heap = taken + gc.mem_free() - piece  # mem_free() counts in what the heap could grow by
    share = _HEAP - heap
    if share < _STEP or piece - heap > _REST:
        return None
    rest, spare = _thread.allocate_lock(), _thread.allocate_lock()
    try:
        with rest:
            with spare:
                hold(_SPARE, spare)
                while longest() > share + _STEP:
                    hold(longest() - share, rest)
            time.sleep_ms(_TICKS_MS)
            # What is free, in 32 parts and two more: these find room in a new area only.
            pieces = [[None] * ((heap - taken) // 128 + 1) for _ in range(34)]
    except (OSError, MemoryError):
        return None
    finally:
        _thread.stack_size(0)
    time.sleep_ms(_TICKS_MS)
    # The last one, as an area with nothing after its first 16 bytes counts as empty (1.23 to 1.29),
    # and goes back to the chip.
    anchor = pieces.pop()
    anchor.clear()  # all but 16 bytes
    return anchor
