"""The rules for the levels of a topic. Apart from topics.py, because they are asked only where a
config or a Command is checked, and both are let go of.
"""

PART_MAX = 32
# One level below commands/response, made up by whoever asks: a UUID in text has 36 characters.
REPLY_PART_MAX = 64

_ALLOWED = "abcdefghijklmnopqrstuvwxyz0123456789-"


def fault(part, length_max=PART_MAX):
    """The rule that one level of a topic breaks (str), or None when it keeps them all."""
    if not part:
        return "must not be empty"
    if len(part) > length_max:
        return "at most %d characters" % length_max
    if part[0] == "/":
        return "no leading slash"
    if "/" in part:
        return "no slash: it is one level, a whole topic has at most 7 slashes"
    if "+" in part or "#" in part:
        return "no wildcard"
    if part != part.lower():
        return "no upper case"
    for char in part:
        if char not in _ALLOWED:
            return "only a-z, 0-9 and hyphens"
    if part[0] == "-":
        return "must start with a letter or a digit"
    return None
