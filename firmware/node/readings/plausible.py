"""Whether a sensor's values are believed, by the last ones that were.

A checksum of eight bits lets 3 % of all double bit errors through (docs/notes/sensors.md). So what
lies further from the last believed values than each field's `step` is doubted, and counts when the
next ones agree with it, that is: lie within that of it. If it was true it comes late by a sensor's
pace, and is not lost.

The first values of a boot are doubted, too. They are as likely to be wrong as any, and nothing
bears them out. It costs one pace, and a node needs longer than that to reach its broker.

Nothing is averaged, and nothing made up.
"""


def judged(believed, doubted, values, fields):
    """(what is believed now, what is doubted, whether something doubted is thrown away) when
    `values` have come; what there is none of is None.
    """
    for known in (believed, doubted):
        if known:
            for was, value, field in zip(known, values, fields):
                if abs(value - was) > field.step:
                    break
            else:
                return values, None, known is believed and doubted is not None
    return believed, values, doubted is not None
