"""reboot: a hard reset. The Response goes first: it is on flash and on its way before the reset."""

PARAMS = {}


def reboot(params, node):
    """Asks main for the reset, which waits for the Response's PUBACK, or 5 s."""
    node.reboot()
    return {}
