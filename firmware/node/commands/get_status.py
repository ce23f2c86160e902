"""get_status: what the node would say of its health, now."""

PARAMS = {}


def get_status(params, node):
    """The health snapshot (dict), as under the topic `health`."""
    return node.status()
