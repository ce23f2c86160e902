"""The Commands, one file each: file = function = action, imported when first asked for.

What is not in this table is no Command.
"""

from node.shared.errors import CommandError

TABLE = ("ping", "get_status", "read_now", "get_crash", "set_interval", "identify", "reboot")
# These change nothing: carrying one out twice does no harm, so it costs no write to flash.
HARMLESS = TABLE[:4]


def load(action, params):
    """(handler, params with defaults) for an action (str) and the params (dict) that came with it.

    A PARAMS says of each parameter (low, high, default): whole numbers, default None = required.
    Raises CommandError: unknown-action, bad-params.
    """
    if action not in TABLE:
        raise CommandError("unknown-action", "known: " + ", ".join(sorted(TABLE)))
    module = __import__("node.commands." + action, None, None, (action,))
    spec, handler = module.PARAMS, getattr(module, action)
    for name in params:
        if name not in spec:
            raise CommandError("bad-params", "known: " + (", ".join(sorted(spec)) or "none"))
    checked = {}
    for name, (low, high, default) in spec.items():
        value = params.get(name, default)
        # Not isinstance: true would pass for 1.
        if type(value) is not int or not low <= value <= high:
            raise CommandError("bad-params", "%s: a whole number, %d to %d" % (name, low, high))
        checked[name] = value
    return handler, checked
