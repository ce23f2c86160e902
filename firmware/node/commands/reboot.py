"""reboot: a hard reset. The Response goes first: it is on flash and on its way before the reset."""

PARAMS = {}


def reboot(params, node):
    """Result: empty. The reset waits until the Response is acknowledged, for 5 s at most."""
    node.reboot()
    return {}
