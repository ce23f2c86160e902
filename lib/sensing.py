"""What every sensor driver offers, so that who reads it need not know which one it is.

A driver is a module with a function that makes the sensor from a Board's wiring, and a subclass of
`Sensor` (dht22.py is the pattern):

    sensor(machine, *wiring) -> Sensor    machine: the module of that name, or its like

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
    """No usable values. args[0] is the reason: a word as a counter is named, such as checksum."""


class Sensor:
    """One sensor. What a subclass leaves out is as it is here; all times are in milliseconds.

    `name`        str: "", or what goes before each field's name when there are several sensors
    `fields`      tuple of Field, in the order of what `read` returns
    `pace_ms`     least time from one `start` or `read` to the next `read` that begins anew
    `warm_up_ms`  from power-up to the first of either
    `lead_ms`     from `start` to the `read` that it is for
    `fresh_ms`    how old may be what `read` hands out, counted from the last `start` or `read`.
                  Where `read` itself begins no measurement this is less than `pace_ms`: then each
                  needs a `start`
    """

    name = ""
    fields = ()
    pace_ms = 1000
    warm_up_ms = lead_ms = fresh_ms = 0

    def start(self):
        """Begin a measurement, and return at once. Raises SensorError."""

    def read(self):
        """The last measurement: a tuple of int, one for each field. Raises SensorError."""
        raise NotImplementedError
