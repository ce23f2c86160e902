"""Makes a Board's sensors of what its SENSORS says. Loaded for that and let go of.

A line is (driver, wiring), (driver, wiring, name) or (driver, wiring, name, *more): the driver's
module, a GPIO or a tuple of several, what the names of its fields begin with, and what else the
driver wants to be told, such as the address on a bus.
"""

import sys

import sensing
from node.shared.unimport import unimport

# What a Reading says of itself in the same JSON.
_TAKEN = ("v", "boot", "seq", "ts", "up", "dt")
_LETTERS = "abcdefghijklmnopqrstuvwxyz_0123456789"


class WiringError(TypeError):
    """SENSORS that cannot be. The words name pins, fields and drivers, and no value, so a crash
    report keeps them as it does a TypeError's.
    """


def make(lines, machine, **pins):
    """A tuple of sensors (lib/sensing.py), one for each of `lines`, whose fields bear the names of
    telemetry. machine: the module; pins: what else the Board has on which GPIO.

    Raises WiringError, which says what is wrong: a pin or a field that is there twice, a field or a
    name that telemetry cannot have, a sensor that would be stale before it is read, none at all.
    What a driver refuses, and that there is none, comes through. No sensor is asked anything.
    """
    unimport("device.sensors")  # when this returns
    users = {gpio: (name, None) for name, gpio in pins.items()}
    fields = set(_TAKEN)
    sensors = []
    for driver, wiring, *more in lines:
        wiring = (wiring,) if isinstance(wiring, int) else tuple(wiring)
        module = __import__(driver)
        bus = getattr(module, "BUS", None)
        ours = {}
        for gpio in wiring:
            other, line = ours.get(gpio) or users.get(gpio) or (None, None)
            # Those of one bus may have the same pins: all of them, in the same order.
            if other and (not bus or line != (bus, wiring)):
                raise WiringError("GPIO%d is used twice: %s, %s" % (gpio, other, driver))
            ours[gpio] = (driver, None)
        for gpio in wiring:
            users[gpio] = (driver, (bus, wiring))
        sensor = module.sensor(machine, *wiring, *more[1:])
        if more and more[0]:
            sensor.name = more[0]
            sensor.fields = tuple(
                [sensing.Field(more[0] + "_" + each[0], *each[1:]) for each in sensor.fields]
            )
        for field in sensor.fields:
            if field.name in fields:
                raise WiringError("field %s is there twice: %s" % (field.name, driver))
            if [each for each in field.name if each not in _LETTERS] or not field.name[0].isalpha():
                raise WiringError("no name for a field: %s of %s" % (field.name, driver))
            fields.add(field.name)
        if sensor.fresh_ms <= sensor.lead_ms or sensor.pace_ms < 1:
            raise WiringError("stale before it is read: %s" % driver)
        sensors.append(sensor)
    for driver, *_ in lines:
        if hasattr(sys.modules[driver], "sensor"):
            del sys.modules[driver].sensor  # which has done its work
    if not sensors:
        raise WiringError("SENSORS is empty")
    return tuple(sensors)
