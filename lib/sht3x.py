"""SHT30, SHT31, SHT35: humidity and temperature over I2C, as the SHT4x with another command.

Source of numbers: the SHT3x-DIS datasheet, sections 4.3 and 4.13.
"""

from sht4x import BUS, SHT4x, bus  # noqa: F401 (BUS is the driver's)


class SHT3x(SHT4x):
    """The sensor at `address` of an I2C bus: 0x44, with its ADDR high 0x45."""

    lead_ms = 16  # 15.5 ms at the most, with high repeatability
    command = b"\x24\x00"  # once, without clock stretching

    def humidity(self, raw):
        """Hundredths of % RH: 100 / 65535."""
        return (raw * 2000 + 6553) // 13107


def sensor(machine, scl, sda, address=0x44):
    """The sensor on these two pins, which need pull-ups."""
    return SHT3x(bus(machine, scl, sda), address)
