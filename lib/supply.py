"""A voltage over a divider of two resistors, by the chip's ADC: the node's own supply.

The ADC is an object with the interface of an ESP32's `machine.ADC`: `read_uv()` gives microvolts,
by the chip's own calibration.

Source of numbers: MicroPython's documentation of the ESP32's ADC. With 11 dB it tells 0.15 V from
2.45 V; beyond that it bends and then stands still.
"""

from micropython import const
from sensing import Field, Sensor, SensorError

_TIMES = const(16)  # the ADC's noise is 10 mV; a mean of 16 leaves a quarter of that
_LOW_UV = const(150_000)
_HIGH_UV = const(2_450_000)


class Supply(Sensor):
    """What lies above a divider of `upper` and `lower` ohms, kiloohms, or any unit they share.

    Raises ValueError for resistors that make no divider.
    """

    fields = (Field("supply", "V", 3, 500, 30_000, 300),)
    pace_ms = 100
    fresh_ms = 1 << 29  # each `read` measures: nothing is ever old

    def __init__(self, adc, upper, lower):
        if not (upper >= 0 < lower):
            raise ValueError("no divider")
        self._adc = adc
        self._upper = upper
        self._lower = lower

    def read(self):
        """(voltage,) in mV: the mean of 16.

        Raises SensorError: adc-low, adc-high for what the ADC cannot tell; nothing is connected,
        or the divider is the wrong one.
        """
        total = 0
        for _ in range(_TIMES):
            uv = self._adc.read_uv()
            if uv < _LOW_UV:
                raise SensorError("adc-low")
            if uv > _HIGH_UV:
                raise SensorError("adc-high")
            total += uv
        # Tenths of a mV, so that a divider's kiloohms times that are no more than 30 bits.
        at_pin = total // (_TIMES * 100)
        return ((at_pin + at_pin * self._upper // self._lower + 5) // 10,)


def sensor(machine, gpio, upper, lower):
    """The divider's middle is on `gpio`, one of ADC1: 32 to 39 of an ESP32; ADC2 is Wi-Fi's."""
    return Supply(machine.ADC(machine.Pin(gpio), atten=machine.ADC.ATTN_11DB), upper, lower)
