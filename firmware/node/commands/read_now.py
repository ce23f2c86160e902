"""read_now: a Reading as soon as the sensors allow, which is seconds after their last one."""

from collections import OrderedDict

from node.commands.deferred import Deferred

PARAMS = {}


def read_now(params, node):
    """Result: boot, seq, ts and the values of the Reading, which goes out as telemetry, too. It
    comes later; a silent sensor ends in the code `timeout`.
    """
    deferred = Deferred()

    def on_reading(reading):
        said = OrderedDict((("boot", reading.boot), ("seq", reading.seq), ("ts", reading.ts)))
        for (name, unit, _), value in zip(node.sampler.encode.fields, reading.values):
            said[name] = value if value is None or unit == 1 else value / unit
        deferred.done(said)

    node.read_now(on_reading)
    return deferred
