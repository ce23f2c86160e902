"""What a capture holds, decoded straight from its levels: not by what the node does it with."""

from __future__ import annotations

import json
from pathlib import Path


def decode(levels: list[int]) -> str:
    """What one request gave: "temperature humidity" in tenths, or no-response.

    Written from the datasheet, by the sum of each bit's low and high: 76 to 80 us is a 0, 118 to
    128 us a 1.
    """
    if len(levels) == 1:
        return "no-response"
    assert len(levels) == 85, "neither silence nor a frame"
    bits = "".join(
        "1" if low + high > 99 else "0"
        for low, high in zip(levels[4:84:2], levels[5:84:2], strict=True)
    )
    humidity, sign, magnitude = int(bits[:16], 2), bits[16], int(bits[17:32], 2)
    assert sum(int(bits[i : i + 8], 2) for i in (0, 8, 16, 24)) % 256 == int(bits[32:], 2)
    return f"{-magnitude if sign == '1' else magnitude} {humidity}"


def expected(capture: Path) -> list[str]:
    """What each request of the capture gave."""
    return [decode(json.loads(line)["us"]) for line in capture.read_text().splitlines()]
