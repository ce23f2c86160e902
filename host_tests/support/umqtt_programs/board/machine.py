# mypy: ignore-errors
"""As much of a board as the programs have: a button on pin 0, which is pressed three times."""

_LEVELS = [1, 1, 0, 1, 0, 0]


class Pin:
    """A pin."""

    IN, OUT = 0, 1

    def __init__(self, number, mode, value=1):
        self._number = number
        self._value = value

    def value(self, *new):
        """Its level."""
        if new:
            self._value = new[0]
        elif self._number == 0:
            if not _LEVELS:
                raise SystemExit
            return _LEVELS.pop(0)
        return self._value


def unique_id():
    """The chip's number."""
    return b"4711"
