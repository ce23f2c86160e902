"""What a user can put right: a cause and the one thing to do. Caught in cli.py alone."""


class Problem(Exception):
    """Something outside Limpet is not as it has to be.

    `cause` says what, in one sentence; `remedy` the one thing to do about it.
    """

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.remedy = remedy
