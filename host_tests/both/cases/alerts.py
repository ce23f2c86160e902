"""Cases of alerts.py: what is said when it begins and when it is over, and how often."""

import json

from node.reporting.alerts import Alerts
from node.reporting.status import Status
from node.shared.pair_file import PairFile
from support.parts.rig import Flash

T0 = 1780000000


class Said:
    """Messages that keep what was put."""

    def __init__(self) -> None:
        self.alerts: list[dict] = []
        self.topics: set[str] = set()
        self.unix: int | None = T0

    def put(self, topic: str, payload: bytes) -> None:
        """Take one."""
        self.topics.add(topic)
        self.alerts.append(json.loads(payload))

    @property
    def states(self) -> list[tuple]:
        """Name and state of each, in order."""
        return [(each["alert"], each["state"]) for each in self.alerts]


def _alerts() -> tuple[Alerts, Said]:
    said = Said()
    files = Flash()
    store = PairFile("raised", files.read, files.replace)
    status = Status("o/s/z/t/d", 1, lambda: 0, ())
    return Alerts("o/s/z/t/d", said, lambda: said.unix, status, store), said


def case_raised_says_why() -> None:
    """What a part adds is in the alert, and in no other."""
    alerts, said = _alerts()
    alerts.change("sensor-silent", True, ("reason", "checksum"))
    assert said.alerts == [
        {"v": 1, "ts": T0, "alert": "sensor-silent", "state": "raised", "reason": "checksum"}
    ]
    assert said.topics == {"o/s/z/t/d/alerts"}


def case_each_change_is_said_once() -> None:
    """A sensor that stays dead is said once, and its first read clears that, once."""
    alerts, said = _alerts()
    for _ in range(500):
        alerts.change("sensor-silent", True, ("reason", "no-response"))
    said.unix = T0 + 60
    for _ in range(500):
        alerts.change("sensor-silent", False)
    assert said.states == [("sensor-silent", "raised"), ("sensor-silent", "cleared")]
    assert said.alerts[1] == {
        "v": 1,
        "ts": T0 + 60,
        "alert": "sensor-silent",
        "state": "cleared",
    }


def case_dead_again_is_said_again() -> None:
    """What was cleared can be raised again."""
    alerts, said = _alerts()
    for _ in range(3):
        alerts.change("sensor-silent", True)
        alerts.change("sensor-silent", False)
    assert said.states == 3 * [("sensor-silent", "raised"), ("sensor-silent", "cleared")]


def case_alerts_do_not_hide_each_other() -> None:
    """Each name has a state of its own; what is not raised cannot be cleared."""
    alerts, said = _alerts()
    said.unix = None
    alerts.change("no-time", False)
    assert said.alerts == []
    alerts.change("no-time", True)
    alerts.change("client-id-taken", True)
    alerts.change("no-time", True)
    alerts.change("client-id-taken", False)
    alerts.change("no-time", False)
    assert said.states == [
        ("no-time", "raised"),
        ("client-id-taken", "raised"),
        ("client-id-taken", "cleared"),
        ("no-time", "cleared"),
    ]
    assert said.alerts[0] == {"v": 1, "ts": None, "alert": "no-time", "state": "raised"}


def case_without_heap_for_the_file_it_is_said() -> None:
    """No heap to write the names down is as no room on flash: the alert goes out all the same."""
    alerts, said = _alerts()
    alerts.store.save = starve
    alerts.change("no-time", True)
    assert said.states == [("no-time", "raised")]
    assert alerts.status.raised == ["no-time"]


def case_without_heap_for_the_alert_it_is_said_later() -> None:
    """Nothing counts as said that was not."""
    alerts, said = _alerts()
    said.put, put = starve, said.put  # type: ignore[method-assign, assignment]
    try:
        alerts.change("no-time", True)
        raise AssertionError("no heap, and nobody hears of it")
    except MemoryError:
        said.put = put  # type: ignore[method-assign]
    alerts.change("no-time", True)
    assert said.states == [("no-time", "raised")]


def starve(*_: object) -> None:
    """Have no heap."""
    raise MemoryError
