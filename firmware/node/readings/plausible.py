"""Whether a sensor's values are believed, by the last ones that were.

A checksum of eight bits lets 3 % of all double bit errors through (docs/notes/sensors.md). So what
lies further from the last believed values than each field's `step` is doubted, and counts when the
next ones agree with it, that is: lie within that of it. If it was true it comes late by a sensor's
pace, and is not lost.

The first values of a boot are doubted, too. They are as likely to be wrong as any, and nothing
bears them out. It costs one pace, and a node needs longer than that to reach its broker.

Nothing is averaged, and nothing made up.
"""


def judged(asked, values):
    """Whether something doubted is thrown away, now that `values` have come. asked: has a `sensor`,
    and what is `known` and in `doubt` of it, which change; what there is none of is None.
    """
    fields, doubt = asked.sensor.fields, asked.doubt
    asked.doubt = None
    if asked.known and _near(asked.known, values, fields):
        asked.known = values
        return doubt is not None
    if doubt and _near(doubt, values, fields):
        asked.known = values
        return False
    asked.doubt = values
    return doubt is not None


def _near(known, values, fields):
    at = 0  # enumerate and zip would make a tuple for each
    for value in values:
        if abs(value - known[at]) > fields[at].step:
            return False
        at += 1  # noqa: SIM113
    return True
