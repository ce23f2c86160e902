"""RTC memory: RAM that every reset leaves alone, the watchdog's and a panic's included.

MicroPython 1.20 to 1.29 keeps it out of initialisation (esp32/machine_rtc.c, RTC_NOINIT_ATTR), up
to 2048 bytes. It will NOT outlive a power cut, nor judge what it holds: after one it is noise that
looks empty at best.
"""

import machine


def load():
    """What was saved last (bytes); empty if nothing was."""
    return machine.RTC().memory()


def save(data):
    """Keep `data` (bytes, up to 2048) until the power goes."""
    machine.RTC().memory(data)
