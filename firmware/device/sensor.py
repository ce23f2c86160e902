"""A DHT22 on a pin, as the sampler wants it: two numbers or a SensorError.

The sampler keeps the sensor's pace.
"""

import machine
import sensing
from dht22 import DHT22
from node.shared.errors import SensorError


class Sensor:
    """The DHT22 whose data line is on `gpio`; the line needs a pull-up of its own."""

    def __init__(self, gpio):
        self._dht = DHT22(machine.Pin(gpio), machine.dht_readinto)

    def read(self):
        """(temperature, humidity) in tenths of a degree Celsius and of % relative humidity.

        Raises SensorError with the reason that sensing.measure gives. Holds the CPU for 270 ms.
        """
        try:
            return sensing.measure(self._dht)
        except sensing.SensorError as error:
            raise SensorError(error.args[0])
