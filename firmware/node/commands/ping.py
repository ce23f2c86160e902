"""ping: is the node there, and does it carry out Commands?"""

PARAMS = {}


def ping(params, node):
    """An empty result: the Response itself says it."""
    return {}
