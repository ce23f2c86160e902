"""Cases of what a node says of itself: alerts over resets, births, and what a broker gives back."""

import json

from node.reporting.alerts import Alerts
from node.reporting.status import Status
from node.shared.pair_file import PairFile
from support.parts.due import peeked
from support.parts.rig import BASE, Flash

NAME = "a-name-of-20-letters"


class Said:
    """One boot's status and alerts, over a flash that outlives it."""

    def __init__(self, flash: "Flash | None" = None) -> None:
        self.flash = flash or Flash()
        self.now = 0
        self.published: list[tuple[str, str]] = []
        facts = [("fw", "10.20.30"), ("reset", "watchdog"), ("why", "safe-mode"), ("mode", "safe")]
        self.status = Status(BASE, 4294967295, lambda: self.now, facts)
        store = PairFile("raised", self.flash.read, self.flash.replace)
        self.alerts = Alerts(BASE, self, lambda: None, self.status, store)

    def put(self, topic: str, payload: bytes) -> None:
        """Take an alert."""
        said = json.loads(payload)
        self.published.append((said["alert"], said["state"]))

    def birth(self) -> "dict | None":
        """The birth that is due, as sent and acknowledged; None: there is none."""
        found = peeked(self.status, self.now)
        if found is None:
            return None
        assert len(found[1].payload) <= 512
        self.status.sent(found[0])
        self.status.done(found[0])
        self.last = found[1].payload
        return json.loads(self.last)

    def echo(self) -> None:
        """The broker gives the last birth back."""
        self.status.on_message(self.status.topic, self.last, False, False)

    def connect(self) -> None:
        """A session begins."""
        self.status.rewind()
        self.status.will()
        self.status.up(self.now, None)


def case_cleared_by_the_next_boot() -> None:
    """What one boot has raised the next one knows, says in its birth, and clears."""
    said = Said()
    said.alerts.change("sensor-silent", True, ("reason", "no-answer"))
    said = Said(said.flash)
    said.connect()
    assert said.birth()["alerts"] == ["sensor-silent"]  # type: ignore[index]
    said.alerts.change("sensor-silent", True, ("reason", "no-answer"))
    assert said.published == []  # it was said already
    said.alerts.change("sensor-silent", False)
    assert said.published == [("sensor-silent", "cleared")]
    said = Said(said.flash)
    said.connect()
    assert "alerts" not in said.birth()  # type: ignore[operator]
    said.alerts.change("sensor-silent", False)
    assert said.published == []


def case_flash_that_takes_none() -> None:
    """Without flash an alert is said all the same."""
    said = Said()
    said.flash.full = True
    said.alerts.change("one", True)
    said.flash.full = False
    said.alerts.change("two", True)
    assert said.published == [("one", "raised"), ("two", "raised")]
    assert Said(said.flash).status.raised == ["one", "two"]


def case_birth_is_bounded() -> None:
    """At most eight names and a count: whatever is raised, a birth stays within 512 bytes."""
    said = Said()
    for number in range(20):
        said.alerts.change(NAME + str(number % 10) + "x" * (number // 10), True)
    outage = {"s": 4294967, "cause": "certificate-not-yet-valid", "rejoins": 99999}
    said.status.session = 99999
    said.status.up(0, outage)
    birth = said.birth()
    assert birth
    assert len(birth["alerts"]) == 8
    assert birth["more_alerts"] == 12
    assert birth["outage"] == outage
    said.echo()
    assert said.status.connection.heard


def case_birth_is_said_again_when_alerts_change() -> None:
    """A change is in the next birth, ten seconds after the last one at the soonest."""
    said = Said()
    said.alerts.change("early", True)  # while down: nothing to say yet
    said.now = 1000
    assert said.birth() is None
    said.connect()
    assert said.birth()["alerts"] == ["early"]  # type: ignore[index]
    said.echo()
    said.now = 5000
    said.alerts.change("early", False)
    said.alerts.change("late", True)
    assert said.birth() is None
    assert said.status.due == said.now + 6000
    said.now = 11000
    assert said.birth()["alerts"] == ["late"]  # type: ignore[index]
    assert said.birth() is None


def case_birth_that_never_comes_back() -> None:
    """Twice the subscription may be lost; the third time the broker denies what it acknowledges.

    From then on the birth is said once a minute, until it comes back.
    """
    said = Said()
    for wanted in ("subscription-lost", "subscription-lost", "not-authorized-here", None):
        said.connect()
        assert said.birth()
        said.now += 9999
        assert said.status.unheard(said.now) is None
        said.now += 1
        assert said.status.unheard(said.now) == wanted
        assert said.status.unheard(said.now) is None
        assert not said.status.connection.heard
    for _ in range(3):
        assert said.status.due == said.now + 60_000
        said.now += 59_999
        assert said.birth() is None
        said.now += 1
        assert said.birth()
        said.now += 10_000
        assert said.status.unheard(said.now) is None
    said.now += 60_000
    assert said.birth()
    said.echo()
    assert said.status.connection.heard
    said.now += 599_999
    assert said.birth() is None
    said.now += 1
    assert said.birth()
    said.connect()
    assert not said.status.connection.heard  # of this connection nothing is known yet
