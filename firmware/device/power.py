"""What begins a boot, what ends it, and what outlives it: reset causes, resets, the watchdog, and
RTC memory.

A reset is asked for by whoever knows that nothing smaller helps, and the watchdog is fed by whoever
sees progress, never by a timer, which would go on while the main loop hangs. Once started it cannot
be stopped (ESP32), not even by a soft reset.

RTC memory is RAM that every reset leaves alone, the watchdog's and a panic's included: MicroPython
1.20 to 1.29 keeps it out of initialisation (esp32/machine_rtc.c, RTC_NOINIT_ATTR), up to 2048
bytes. After a power cut it is noise that looks empty at best.
"""

import machine


def reset_cause():
    """One of power-on, hard, watchdog, deep-sleep, soft, and unknown.

    The ESP32 reports a brownout as a power-on (MicroPython 1.29, modmachine.c), so the two cannot
    be told apart here.
    """
    causes = {
        machine.PWRON_RESET: "power-on",
        machine.HARD_RESET: "hard",
        machine.WDT_RESET: "watchdog",
        machine.DEEPSLEEP_RESET: "deep-sleep",
        machine.SOFT_RESET: "soft",
    }
    return causes.get(machine.reset_cause(), "unknown")


def reset(hard=True):
    """Start again and never return. Soft restarts the interpreter alone: Wi-Fi and RTC stay on."""
    if hard:
        machine.reset()
    machine.soft_reset()


def watchdog(timeout_ms):
    """Start the watchdog and return the object whose `feed()` must be called within `timeout_ms`.

    Choose the time well above the longest honest step, which is a DNS look-up that no server
    answers: it blocks as long as the network stack likes, and an outage must not become a reset.
    """
    return machine.WDT(timeout=timeout_ms)


def load():
    """What was saved in RTC memory last (bytes); empty if nothing was."""
    return machine.RTC().memory()


def save(data):
    """Keep `data` (bytes, up to 2048) in RTC memory until the power goes."""
    machine.RTC().memory(data)
