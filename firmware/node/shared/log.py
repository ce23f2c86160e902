"""The log: one line per event on the console, as `seconds-since-boot area words`.

It must never be given a secret.
"""


def logger(now):
    """A function `log(area, *words)` that stamps each line by `now()`, milliseconds since boot. The
    second of two words may be a function that prints the rest of the line.

    No text is made of it: MicroPython looks each new one up among all names that it knows.
    """

    def log(area, *words):
        ms = now()
        rest = ms % 1000
        print(ms // 1000, end="." if rest > 99 else ".0" if rest > 9 else ".00")
        if len(words) == 2 and callable(words[1]):
            print(rest, area, words[0], end=" ")
            words[1]()
        else:
            print(rest, area, *words)

    return log
