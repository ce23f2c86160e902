"""mosquitto, the program: the system's, or Debian's package unpacked privately."""

from functools import cache

from limpet.node_host import debian


@cache
def mosquitto() -> list[str]:
    """The start of the command line that runs mosquitto; sets it up if need be. Raises Problem."""
    return debian.system_or_unpacked(
        "mosquitto",
        "Install mosquitto (macOS: brew install mosquitto; Fedora: dnf install mosquitto).",
    )
