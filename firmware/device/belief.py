"""What the clock believes of what it is told, by the rules in clock.py: loaded with who asks, and
let go of with it.

Nobody is asked here, but for the broker's opinion on an answer that nothing else speaks for.
"""

from micropython import const
from node.shared.version import EARLIEST

_STEP_MS = const(60_000)  # more than any crystal is off after a month without a server
_DAY_S = const(86_400)


def begin(clock, certificates):
    """Find out when it can be, and believe the RTC where it keeps to that."""
    from device.dates import span

    servers = clock._ntp
    servers.earliest, servers.latest = span(certificates, EARLIEST)
    if clock._set_system:
        unix = int(clock._source.time()) + clock._epoch
        if servers.earliest + _DAY_S <= unix < servers.latest:
            clock._base_ms = (unix - clock.now() // 1000) * 1000


def told(clock, unix_ms, now, server):
    """The server of that number said that it is `unix_ms`; whether that counts."""
    # In whole seconds, so that unix() and now() // 1000 turn together: a Reading stamped
    # afterwards then gets the same time each time it is sent.
    base_ms = (unix_ms - now + 500) // 1000 * 1000
    valid = unix_ms < clock._ntp.latest * 1000
    unset = clock._base_ms is None or clock._refused
    sure = valid if unset else _near(base_ms, clock._base_ms)
    if not sure and clock._doubt and (valid or server != clock._doubt[1]):
        sure = _near(base_ms, clock._doubt[0])
    if sure:
        _take(clock, base_ms, unix_ms)
        return True
    clock._doubt = base_ms, server
    _say(clock, "doubt", base_ms, unix_ms)
    if not valid and clock.broker:
        _call(clock, *clock.broker)
        clock.broker = None
    return False


def _call(clock, client, topic):
    """Subscribe to what the broker says, and listen to it for good."""
    others = client.on_message

    def on_message(name, payload, retained, dup):
        if name != topic:
            others(name, payload, retained, dup)
        elif clock._doubt and payload and not retained:  # None: there was no heap for it
            _heard(clock, payload, clock.now())

    client.on_message = on_message
    client.subscribe(topic)


def _heard(clock, payload, now):
    """The broker says what time it is: ten digits behind `"ts":`, wherever that is."""
    digits = payload[payload.find(b'"ts":') + 5 :][:10]
    if digits.isdigit() and _near(int(digits) * 1000 - now, clock._doubt[0]):
        _take(clock, clock._doubt[0], clock._doubt[0] + now)


def _near(one_ms, other_ms):
    return abs(one_ms - other_ms) <= _STEP_MS


def _take(clock, base_ms, unix_ms):
    if clock._set_system:
        clock._set_system(unix_ms)
    _say(clock, "set", base_ms, unix_ms)
    clock._base_ms = base_ms
    clock._doubt = None
    clock._refused = False
    clock.due = 0  # it may have given the time up


def _say(clock, word, base_ms, unix_ms):
    if clock._ntp.log:
        step_ms = 0 if clock._base_ms is None else base_ms - clock._base_ms
        words = "%s unix=%d step_ms=%d" % (word, unix_ms // 1000, step_ms)
        clock._ntp.log("clock", words)
