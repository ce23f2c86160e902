"""Version of the firmware, as the birth message says it."""

VERSION = "0.1.0"
