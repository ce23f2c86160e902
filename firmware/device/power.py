"""Why the chip started, and starting it again.

It will NOT decide when: a reset is asked for by whoever knows that nothing smaller helps.
"""

import machine

# The ESP32 reports a brownout as a power-on (MicroPython 1.29, modmachine.c), so the two cannot be
# told apart here.
_CAUSES = {
    machine.PWRON_RESET: "power-on",
    machine.HARD_RESET: "hard",
    machine.WDT_RESET: "watchdog",
    machine.DEEPSLEEP_RESET: "deep-sleep",
    machine.SOFT_RESET: "soft",
}


def reset_cause():
    """One of power-on, hard, watchdog, deep-sleep, soft, and unknown."""
    return _CAUSES.get(machine.reset_cause(), "unknown")


def reset(hard=True):
    """Start again and never return. Soft restarts the interpreter alone: Wi-Fi and RTC stay on."""
    if hard:
        machine.reset()
    machine.soft_reset()
