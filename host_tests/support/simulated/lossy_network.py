"""A network in simulated time, on which things go wrong. Runs under both Pythons."""

from support.fuzz.fuzz import Random


class Broken(Exception):
    """The client, the Link or the Outbox has done what it must not."""


class Network:
    """A transport: what is written arrives later, in pieces, or never. `take(packet)` is called
    for what has come to the other end, `say(data, longest)` sends something back.

    trouble: how often in 1000 something goes wrong where it can; 0 is a perfect world.
    """

    addresses = ()  # there is one, and no other
    cause: str | None = None

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.trouble = 0
        self.now = 0
        self.close()

    def strikes(self, weight: int = 1) -> bool:
        """Whether something goes wrong now."""
        return self.trouble > 0 and self.rng.below(1000) < self.trouble * weight

    def resolve(self, host: str, port: int) -> None:
        """DNS fails now and then."""
        if self.strikes():
            self.cause = "dns"

    def open(self) -> None:
        """Nobody listens now and then."""
        if self.strikes(3):
            self.cause = "tcp-refused"

    def opened(self) -> bool:
        """At once."""
        return True

    def proven(self) -> None:
        """Nothing changes."""

    def close(self) -> None:
        """All that is under way is lost."""
        self.cause = None
        self._closed = False
        self._up: list = []  # [when, packet]
        self._down: list = []  # [when, bytes]
        self._rest = 0  # bytes of the newest packet that were not taken yet
        self._packet = b""

    def wait(self, real_ms: int, to_write: bool = False) -> None:
        """Time is the test's."""

    def write(self, data: bytes) -> "int | None":
        """Take a packet, a part of it, or nothing; or break."""
        if not self._rest:
            self._packet = bytes(data)
            self._rest = len(data)
            self.check(self._packet)  # what was attempted counts, whatever becomes of it
        elif bytes(data) != self._packet[-self._rest :]:
            raise Broken("a write that was not taken must be repeated with the same bytes")
        if self.strikes():
            self.cause = "closed"
        if self.cause or self.strikes(20):
            return None
        taken = self._rest
        if taken > 1 and self.strikes(20):
            taken = 1 + self.rng.below(taken - 1)
        self._rest -= taken
        if not self._rest:
            self._up.append([self.now + self._delay(50), self._packet])
        return taken

    def readinto(self, space: memoryview) -> "int | None":
        """Give a packet that has come, or a piece of it; or break."""
        if self.strikes() or self._closed:
            self.cause = "closed"
            return None
        while self._up and self._up[0][0] <= self.now:
            self.take(self._up.pop(0)[1])
        for index, each in enumerate(self._down):
            if each[0] <= self.now:
                data = each[1]
                count = 1 if self.strikes(20) else len(data)
                each[1] = data[count:]
                self._down.pop(index)
                if each[1]:
                    self._down.insert(0, [0, each[1]])  # the rest of it before all others
                space[:count] = data[:count]
                return count
        return None

    def due(self) -> "int | None":
        """When something gets where it goes; None: nothing is under way."""
        times = [each[0] for each in self._up + self._down]
        return min(times) if times else None

    def say(self, data: bytes, longest: int = 50) -> None:
        """Send `data` to the client; it takes up to `longest` ms, and may overtake."""
        self._down.append([self.now + self._delay(longest), data])

    def _delay(self, longest: int) -> int:
        return self.rng.below(longest) if self.trouble else 0

    def check(self, packet: bytes) -> None:
        """Look at a packet that is about to go out."""

    def take(self, packet: bytes) -> None:
        """Look at a packet that has arrived."""
