"""Version of the firmware, as the birth message says it."""

VERSION = "0.1.0"

# Unix time. Nobody runs this firmware before it was written. Brought forward with each release.
EARLIEST = 1_767_225_600  # 2026-01-01
