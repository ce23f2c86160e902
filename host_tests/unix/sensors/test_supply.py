"""lib/supply.py: what the ADC's microvolts mean above the divider."""

from __future__ import annotations

import pytest
from support.micropython.upy import run

DESK = """
import supply
from sensing import SensorError, measure

class ADC:
    ATTN_11DB = 3
    def __init__(self, pin, atten):
        assert (pin, atten) == (35, 3)
    def read_uv(self):
        read.append(values[len(read) % len(values)])
        return read[-1]

class machine:
    Pin = int
machine.ADC = ADC
read = []

def said(*resistors):
    try:
        return measure(supply.sensor(machine, 35, *resistors))
    except (SensorError, ValueError) as error:
        return error.args[0]

"""


@pytest.mark.parametrize(
    ("values", "resistors", "said"),
    [
        # A cell of 3.7 V and USB's 5 V, halved; nothing above the pin; three quarters taken off.
        ([1_850_000], (100, 100), "(3700,)"),
        ([2_449_000], (100, 100), "(4898,)"),
        ([1_100_000], (0, 100), "(1100,)"),
        ([2_450_000], (300, 100), "(9800,)"),
        # The mean of what the ADC's noise makes of it.
        ([1_840_000, 1_860_000], (100, 100), "(3700,)"),
        # Ohms instead of kiloohms make no number too long.
        ([1_850_000], (100_000, 100_000), "(3700,)"),
        # Nothing connected, or a divider for another voltage; one such reading is enough.
        ([142_000], (100, 100), "adc-low"),
        ([2_451_000], (100, 100), "adc-high"),
        ([1_850_000] * 15 + [3_100_000], (100, 100), "adc-high"),
        # What a divider of that kind cannot bring to the pin.
        ([2_450_000], (1500, 100), "out-of-range"),
        # No divider.
        ([1_850_000], (100, 0), "no divider"),
        ([1_850_000], (-1, 100), "no divider"),
    ],
)
def test_microvolts_mean(values: list[int], resistors: tuple[int, int], said: str) -> None:
    """Millivolts above the divider, or the name of what is wrong."""
    assert run(f"{DESK}values = {values}\nprint(said(*{resistors}))") == f"{said}\n"


def test_read_costs_sixteen_conversions() -> None:
    """The mean is of 16, and there is nothing to start or to wait for."""
    script = f"{DESK}values = [1_850_000]\nsaid(100, 100)\nprint(len(read), supply.Supply.lead_ms)"
    assert run(script) == "16 0\n"
