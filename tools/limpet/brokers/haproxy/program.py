"""HAProxy: the system's, or Debian's package unpacked privately."""

from functools import cache

from limpet.node_host import debian


@cache
def haproxy() -> list[str]:
    """The start of the command line that runs HAProxy; sets it up if need be. Raises Problem."""
    return debian.system_or_unpacked("haproxy", "Install haproxy.")
