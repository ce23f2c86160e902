"""The log: one line per event on the console, as `seconds-since-boot area words`.

It must never be given a secret.
"""


def logger(now):
    """A function `log(area, *words)` that stamps each line by `now()`, milliseconds since boot."""

    def log(area, *words):
        print("%d.%03d" % divmod(now(), 1000), area, *words)

    return log
