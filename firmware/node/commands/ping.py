"""ping: is the node there, and does it carry out Commands?"""

PARAMS = {}


def ping(params, node):
    """Result: empty, as the Response itself says it."""
    return {}
