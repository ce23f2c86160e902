"""What the laptop adds to the Board: its settings, taken from LIMPET_* variables, and its clock.

`machine` and `board` share the clock, so that a sensor's 2 s are the node's 2 s at any speed.
The variables are `limpet node`'s options. One that cannot be used ends the process with
`BAD_SETTING` and a line that names it.
"""

import os
import sys

from device.clock import Clock

# How the process ends; `limpet node` starts it again after the first three.
HARD_RESET = 64
WATCHDOG_RESET = 65
SOFT_RESET = 66
BAD_SETTING = 78

_SIGINT = 1 << 1  # signal 2 in a mask

_CAPTURE = "captures/am2302_1mhz_200s.jsonl"


def refuse(text):
    """Say what is wrong with the settings, and end."""
    print(text)
    sys.exit(BAD_SETTING)


def end(code):
    """End at once, as a reset does: no `finally` runs, nothing is flushed or closed."""
    try:
        import ffi
    except ImportError:
        sys.exit(code)
    ffi.open(None).func("v", "_exit", "i")(code)


def interruptible(wait):
    """`wait(ms)` with SIGINT let through, which from now on is held back everywhere else."""
    try:
        import ffi
    except ImportError:
        return wait
    # Of BSD, and still in every libc: an int, where sigprocmask takes what each system lays out.
    mask = ffi.open(None).func("i", "sigsetmask", "i")
    mask(_SIGINT)

    def waiting(ms):
        try:
            mask(0)
            return wait(ms)
        finally:
            mask(_SIGINT)

    return waiting


def _speed():
    text = os.getenv("LIMPET_SPEED") or "1"
    try:
        speed = float(text)
    except ValueError:
        speed = 0
    if not 0.01 <= speed <= 10_000:
        refuse("LIMPET_SPEED=%s is no number from 0.01 to 10000" % text)
    return speed


def _ntp():
    """Who to ask for the time instead of the operating system; None: nobody."""
    text = os.getenv("LIMPET_NTP")
    if not text:
        return None
    from device.time_servers import TimeServers  # a laptop that keeps the time itself is spared it

    servers = []
    for each in text.split(","):
        host, _, port = each.rpartition(":")
        if not (host and port.isdigit() and 0 < int(port) < 65536):
            refuse("LIMPET_NTP=%s is no list of HOST:PORT" % text)
        servers.append((host, int(port)))
    check = os.getenv("LIMPET_NTP_CHECK") or "86400"
    if not (check.isdigit() and int(check)):
        refuse("LIMPET_NTP_CHECK=%s is no number of seconds" % check)
    return TimeServers(servers=servers, check_s=int(check))


speed = _speed()
clock = Clock(speed, _ntp())
capture = os.getenv("LIMPET_REPLAY") or __file__.rsplit("/", 1)[0] + "/" + _CAPTURE
reset_cause = os.getenv("LIMPET_RESET") or "power-on"
# Which sensors there are, where it is not one DHT22: the module table.
standing = None
# What somebody at levers wants of them meanwhile, where there are any: the module levers.
wants = None
if os.getenv("LIMPET_SENSORS") or os.getenv("LIMPET_LEVERS"):
    import table

    standing = table
if os.getenv("LIMPET_LEVERS"):
    import levers

    wants = levers
