"""set_interval: seconds between Readings, kept over a reset."""

from node.shared.errors import CommandError
from node.shared.reading import INTERVAL_S

PARAMS = {"seconds": (INTERVAL_S[0], INTERVAL_S[1], None)}


def set_interval(params, node):
    """Result: seconds, the interval in force. Fails with code `flash` when it cannot be kept, and
    with `too-short` when a sensor needs longer.
    """
    if params["seconds"] * 1000 < node.sampler.pace_ms:
        raise CommandError("too-short", "a sensor needs longer")
    try:
        node.set_interval(params["seconds"])
    except OSError:
        raise CommandError("flash", "the settings could not be written")
    return {"seconds": params["seconds"]}
