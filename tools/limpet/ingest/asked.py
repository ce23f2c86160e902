"""What a consumer is asked for: which broker, as whom, and which topics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

_GROUP = "$share/limpet-ingest/"


@dataclass(frozen=True)
class Address:
    """Where the broker is, or the brokers are, and who we are there.

    brokers: host and port of each, in the order in which they are tried. name: ours, which is
    the client id too, in PEM files. at: which of the brokers is meant.
    """

    brokers: tuple[tuple[str, int], ...]
    server_name: str | None
    name: str
    ca: Path
    certificate: Path
    key: Path
    at: int = 0

    @property
    def host(self) -> str:
        """The one that is meant: its name or address."""
        return self.brokers[self.at][0]

    @property
    def port(self) -> int:
        """And its port."""
        return self.brokers[self.at][1]

    def turned(self, was_up: bool) -> Address:
        """Return the same with the broker behind the one that could not be had; with the first one
        (at 0), when all were tried or a connection is lost.
        """
        return replace(self, at=0 if was_up else (self.at + 1) % len(self.brokers))


@dataclass(frozen=True)
class Wanted:
    """Topic filters. shared: those of which each Message is for one of several workers. left: what
    others take, and this session may have had. Without any of the first two what the session still
    holds is taken, and the session is given up. optional: those of `own` that a broker may refuse.
    kept: whether the broker is to queue while we are away.
    """

    own: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    kept: bool = True

    @property
    def leaving(self) -> bool:
        """Whether the session is given up."""
        return not self.own and not self.shared

    @property
    def version_5(self) -> bool:
        """Whether that takes MQTT 5."""
        return bool(self.shared or self.left)

    def filters(self) -> list[str]:
        """Return what to subscribe to."""
        return [*self.own, *(_GROUP + each for each in self.shared)]

    def others(self) -> list[str]:
        """Return what a session may be subscribed to that once was of another kind."""
        left = [*self.left, *(_GROUP + each for each in self.left)]
        return [*(_GROUP + each for each in self.own), *self.shared, *left]
