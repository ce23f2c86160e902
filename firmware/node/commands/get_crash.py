"""get_crash: what the node died of last, and how often in a row it died young."""

PARAMS = {}


def get_crash(params, node):
    """Result: count, how many boots in a row have died young, and crash, the text. Both are kept
    over resets.
    """
    return node.crash()
