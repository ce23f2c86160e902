"""The log: one line per event on the console, as `seconds-since-boot area words`.

What it will not do: keep anything, or be given a secret.
"""


def logger(now):
    """A function `log(area, *words)` that stamps each line by `now()`, milliseconds since boot."""

    def log(area, *words):
        print("%d.%03d" % divmod(now(), 1000), area, *words)

    return log
