"""get_crash: what the node died of last, and how often in a row it died young."""

PARAMS = {}


def get_crash(params, node):
    """The count and the text (dict: count, crash), kept over resets; see crashes.py."""
    return node.crash()
