"""get_status: what the node would say of its health, now."""

PARAMS = {}


def get_status(params, node):
    """Result: what is said on the topic `health`."""
    return node.status()
