"""read_now: a Reading as soon as the sensor allows, which is 2 s after its last one."""

from node.commands.deferred import Deferred

PARAMS = {}


def read_now(params, node):
    """Result: boot, seq, ts, temperature and humidity of the Reading, which goes out as telemetry,
    too. It comes later; a silent sensor ends in the code `timeout`.
    """
    deferred = Deferred()

    def on_reading(reading):
        deferred.done(
            {
                "boot": reading.boot,
                "seq": reading.seq,
                "ts": reading.ts,
                "temperature": reading.temperature / 10,
                "humidity": reading.humidity / 10,
            }
        )

    node.read_now(on_reading)
    return deferred
