"""The Commands, one file each: file = function = action, imported when first asked for.

It will not find a Command by itself: what is not in this table is no Command.
"""

from node.errors import CommandError


def _ping():
    from node.commands.ping import PARAMS, ping

    return PARAMS, ping


def _get_status():
    from node.commands.get_status import PARAMS, get_status

    return PARAMS, get_status


def _read_now():
    from node.commands.read_now import PARAMS, read_now

    return PARAMS, read_now


def _set_interval():
    from node.commands.set_interval import PARAMS, set_interval

    return PARAMS, set_interval


def _identify():
    from node.commands.identify import PARAMS, identify

    return PARAMS, identify


def _reboot():
    from node.commands.reboot import PARAMS, reboot

    return PARAMS, reboot


def _get_crash():
    from node.commands.get_crash import PARAMS, get_crash

    return PARAMS, get_crash


TABLE = {
    "ping": _ping,
    "get_status": _get_status,
    "read_now": _read_now,
    "set_interval": _set_interval,
    "identify": _identify,
    "reboot": _reboot,
    "get_crash": _get_crash,
}


def load(action, params):
    """(handler, params with defaults) for an action (str) and the params (dict) that came with it.

    A PARAMS says of each parameter (low, high, default): whole numbers, default None = required.
    Raises CommandError: unknown-action, bad-params.
    """
    if action not in TABLE:
        raise CommandError("unknown-action", "known: " + ", ".join(sorted(TABLE)))
    spec, handler = TABLE[action]()
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
