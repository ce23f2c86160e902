"""The chip's watchdog: resets the chip when it was not fed in time.

It will NOT feed itself from a timer, which would go on while the main loop hangs. Once started it
cannot be stopped (ESP32), not even by a soft reset.
"""

import machine


def start(timeout_ms):
    """Start the watchdog and return the object whose `feed()` must be called within `timeout_ms`.

    Choose the time well above the longest honest step, which is a DNS look-up that no server
    answers: it blocks as long as the network stack likes, and an outage must not become a reset.
    """
    return machine.WDT(timeout=timeout_ms)
