"""What every sensor driver offers, so that who reads it need not know which one it is.

A driver is a module with a subclass of `Sensor`, and a function that makes one (dht22.py is the
pattern):

    sensor(machine, *wiring) -> Sensor

machine: the module of that name, or its like; wiring: pins, and what else the Board says of it. If
several can share the same pins, the module says how, by a text `BUS`.

Nothing in a driver waits longer than a frame on the wire takes, and none makes a float.
"""

from collections import namedtuple

# name      str: lower case letters, digits, _ ; as telemetry has it
# unit      str
# decimals  int: a value is a whole number of 10**-decimals units
# low, high int: the least and the greatest that the sensor can mean, in those numbers
# step      int: the largest change that is believed without a second value that agrees
Field = namedtuple("Field", "name unit decimals low high step")


class SensorError(Exception):
    """No usable values. args[0] is the reason: a word of up to 24 letters, digits, - and _ that can
    name a counter, such as checksum; args[1], if there is one, is an exception that tells more.
    """


class Sensor:
    """One sensor. A subclass has to say `fields` and `pace_ms`, and how to `read`; what else it
    leaves out is as it is here. All times are in milliseconds.

    `name`        str: "", or what goes before each field's name where there are several sensors
    `fields`      tuple of Field, in the order of what `read` returns
    `pace_ms`     least time from one measurement to the next
    `warm_up_ms`  from power-up to the first
    `lead_ms`     from `start` to the `read` that it is for
    `fresh_ms`    how old a measurement may be when `read` hands it out. Where it is at least
                  `pace_ms`, `read` begins the next measurement, and `start` is only needed after a
                  pause; else it is needed before each `read`
    `read()`      the last measurement: a tuple of int, one for each field. Raises SensorError
    """

    name = ""
    warm_up_ms = lead_ms = fresh_ms = 0

    def start(self):
        """Begin a measurement, and return at once. Raises SensorError.

        Where `read` begins the next one, a read for nothing is enough; if that fails, the next read
        will say so.
        """
        try:
            self.read()
        except SensorError:
            pass


def measure(sensor, start=False):
    """What `sensor.read()` gives, held to what the sensor declares; or have it `start`.

    Raises SensorError, whatever the sensor does: its own; the name of the class of what else it
    raised, be it SystemExit or MemoryError; `shape` for what is no tuple of one int for each field;
    `out-of-range`. KeyboardInterrupt is no sensor's, and comes through.
    """
    try:
        return sensor.start() if start else _checked(sensor.read(), sensor.fields)
    except (SensorError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - a driver may be anybody's
        raise SensorError(type(error).__name__, error)


def _checked(values, fields):
    if len(values) != len(fields) or not isinstance(values, tuple):
        raise SensorError("shape")  # a list can still change, and cannot be joined to others'
    at = 0  # enumerate and zip would make a tuple for each
    for value in values:
        if type(value) is not int:
            raise SensorError("shape")
        field = fields[at]
        if not field.low <= value <= field.high:
            raise SensorError("out-of-range")
        at += 1  # noqa: SIM113
    return values
