"""The checks of `limpet doctor`, each with facts made up: it finds what is wrong, and leaves alone
what is right, just beside it.
"""

from __future__ import annotations

import json
import shlex
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers import capacity
from limpet.doctor import clearing
from limpet.doctor.checks import CHECKS, examine
from limpet.doctor.facts import (
    Certificate,
    Door,
    Facts,
    Logged,
    Message,
    OldFile,
    Own,
    Process,
    Visit,
)
from limpet.doctor.finding import LEVELS, Finding
from limpet.doctor.live import parsed
from limpet.doctor.looks import log
from limpet.doctor.probe import Seen
from limpet.shared.paths import REPO
from limpet.shared.problem import Problem

NOW = 1_790_000_000.0
DAY_S = 24 * 3600.0
BASE, OTHER = "limpet/home/desk/climate/node-1", "limpet/home/desk/climate/node-2"
Settings = namedtuple(
    "Settings",
    "broker port username server_hostname keepalive_s telemetry_qos max_qos cert more_brokers",
)
CONFIG = Settings("broker.lan", 8883, None, None, 60, 1, 2, "cert.der", None)
SHOWN = Certificate("the broker", NOW - DAY_S, NOW + 31 * DAY_S, "renew", ("broker.lan",), "a1")
DOOR = Door(8883, True, old_tls="", shown=SHOWN)
ONLINE = {"v": 1, "status": "online", "boot": 7, "session": 1, "fw": "0.1.0", "reset": "power-on"}


def message(
    topic: str, said: Any, qos: int = 1, retained: bool = False, late: float = 0
) -> Message:
    """A Message with a JSON payload, `late` seconds after NOW."""
    return Message(topic, json.dumps(said).encode(), qos, retained, NOW + late)


def reading(base: str, **changes: Any) -> Message:
    """A live Reading."""
    qos = changes.pop("qos", 1)
    said = {"v": 1, "boot": 7, "seq": 1, "ts": NOW, "temperature": 24.4} | changes
    return message(f"{base}/telemetry", said, qos)


def status(base: str, retained: bool = True, **changes: Any) -> Message:
    """A birth."""
    return message(f"{base}/status", ONLINE | changes, retained=retained)


RIGHT = Facts(
    NOW,
    "broker.lan",
    8883,
    "192.168.1.5",
    consumers={"operator": "operate", "grafana": "read"},
    devices=(Own("node-1", BASE, CONFIG), Own("node-2", OTHER, CONFIG)),
    revoked=("node-4",),
    certificates=(
        Certificate("the fleet's CA", NOW - DAY_S, NOW + 3650 * DAY_S, "renew"),
        replace(SHOWN, whose="the broker, as the fleet has made it"),
        Certificate("node-1", NOW - DAY_S, NOW + 3650 * DAY_S, "renew"),
    ),
    limits=capacity.limits(50),
    seen=Seen(where="broker.lan:8883", said={parsed.CONNECTED: b"9"}),
    doors=(DOOR,),
    visits=(
        Visit("limpet-doctor-1", True),
        Visit("node-1", True, read=(f"{BASE}/status", "limpet/time"), asked="x", heard=True),
        Visit("node-4", False, "certificate revoked"),
        Visit("operator", True, read=(f"{BASE}/status",)),
    ),
    messages=(
        status(BASE),
        status(OTHER),
        reading(BASE),
        reading(OTHER, ts=NOW - 25),
        message("limpet/time", {"v": 1, "ts": NOW + 3}, 0),
        message("limpet/limpet/limpet/health/operator/commands", {"id": "a"}),
    ),
    listened_s=12.0,
    granted=1,
    returned=1,
    takes_over=False,
    process=Process(77, 60, 4096),
    logged=Logged(
        {"node-1": 0, "grafana": 60, "limpet-doctor-1": 900}, {"node-1": 4}, {"node-1": "#"}
    ),
)
RIGHT_VISIT = RIGHT.visits[1]


def with_config(**changes: Any) -> Facts:
    """The first device has another config."""
    own = Own("node-1", BASE, CONFIG._replace(**changes))
    return replace(RIGHT, devices=(own, *RIGHT.devices[1:]))


def with_messages(*more: Message) -> Facts:
    """These come besides."""
    return replace(RIGHT, messages=(*RIGHT.messages, *more))


def with_visit(visit: Visit) -> Facts:
    """One has been there besides."""
    return replace(RIGHT, visits=(*RIGHT.visits, visit))


def with_end(days: float, **changes: Any) -> Facts:
    """The certificate of node-1 ends so many days from now."""
    other = replace(RIGHT.certificates[2], end=NOW + days * DAY_S, **changes)
    return replace(RIGHT, certificates=(*RIGHT.certificates[:2], other))


def with_door(**changes: Any) -> Facts:
    """The broker's port is another one."""
    return replace(RIGHT, doors=(replace(DOOR, **changes),))


PLAIN = Door(1883, False, speaks=True)
FAILED = Seen(failed=("TCP", Problem("There is no broker at broker.lan:8883.", "Start it.")))
FULL = Seen(said={parsed.CONNECTED: str(capacity.limits(50).connections).encode()})
FOREIGN = f"{OTHER}/telemetry"
TAKEN = {"s": 60, "cause": "client-id-taken"}

# Check, facts that are wrong, how bad that is, and a word of what is said.
WRONG: list[tuple[str, Facts, str, str]] = [
    ("down", replace(RIGHT, seen=FAILED), "critical", "no broker at"),
    ("figures", replace(RIGHT, seen=FULL), "critical", "connections 67 of 67"),
    ("files", replace(RIGHT, process=Process(77, 60, 190)), "warning", "needs 195"),
    ("files", replace(RIGHT, process=Process(77, 3700, 4096)), "critical", "3,700 open"),
    ("anonymous", with_door(speaks=True, admits=True), "critical", "8883 lets in"),
    ("plaintext", replace(RIGHT, doors=(DOOR, PLAIN)), "critical", "1883 speaks MQTT"),
    ("plaintext", replace(RIGHT, doors=(PLAIN,), address="127.0.0.1"), "warning", "1883"),
    ("public", Facts(NOW, "test.mosquitto.org"), "critical", "everybody"),
    ("public", replace(RIGHT, address="8.8.8.8"), "note", "8.8.8.8"),
    ("old-tls", with_door(old_tls="TLS 1.1"), "warning", "TLS 1.1"),
    ("stranger", with_visit(Visit("x", True, read=(FOREIGN,))), "critical", "hears"),
    ("stranger", with_visit(Visit("x", True, wrote=(FOREIGN,))), "critical", "says"),
    ("foreign-read", with_visit(Visit("node-1", True, read=(FOREIGN,))), "critical", FOREIGN),
    ("foreign-read", with_visit(Visit("grafana", True, read=("a/b",))), "warning", "a/b"),
    ("foreign-write", with_visit(Visit("node-1", True, wrote=(FOREIGN,))), "critical", FOREIGN),
    ("take-over", replace(RIGHT, takes_over=True), "warning", "takes its place"),
    ("certificate-end", with_end(29.5), "warning", "in 29 days"),
    ("certificate-end", with_end(-1), "critical", "has ended on"),
    ("certificate-end", with_end(99, start=NOW + 60), "critical", "good only from"),
    ("certificate-name", with_door(shown=replace(SHOWN, names=("x.lan",))), "critical", "x.lan"),
    ("certificate-name", with_config(server_hostname="y.lan"), "critical", "y.lan"),
    ("certificate-old", with_door(shown=replace(SHOWN, serial="b2")), "warning", "another"),
    ("broker-files", replace(RIGHT, old_files=(OldFile("acl is old", "do"),)), "warning", "acl"),
    ("unheard", with_visit(replace(RIGHT_VISIT, heard=False)), "critical", "delivers nothing"),
    ("refused", with_visit(Visit("node-2", False, "closed")), "critical", "closed"),
    ("revoked", with_visit(Visit("node-4", True)), "warning", "is revoked"),
    ("revoked", with_visit(Visit("node-4", True, read=(FOREIGN,))), "critical", "is revoked"),
    ("folder", replace(RIGHT, devices=(Own("node-1", BASE, CONFIG, Problem("bad", "do")),
                                       RIGHT.devices[1])), "warning", "bad"),
    ("keepalive", with_config(keepalive_s=601), "warning", "601"),
    ("keepalive", with_config(keepalive_s=0), "warning", "is 0"),
    ("keepalive", replace(RIGHT, logged=Logged({"grafana": 0})), "warning", "by the broker's log"),
    ("taken", replace(RIGHT, logged=Logged({}, {"grafana": 5})), "warning", "5 times"),
    ("qos-asked", replace(RIGHT, logged=Logged({}, {}, {"web": "#"})), "warning", "web (#)"),
    ("other-broker", with_config(broker="old.lan"), "note", "old.lan:8883"),
    ("other-broker", with_config(more_brokers=["b.lan:8884"]), "note", "b.lan:8884"),
    ("two-sessions", with_messages(reading(BASE, boot=3), reading(BASE)), "critical", "7, 3"),
    ("two-sessions", replace(RIGHT, messages=(status(BASE, boot=8), *RIGHT.messages[1:])),
     "critical", "8, 7"),
    ("two-sessions", with_messages(status(BASE, False, outage=TAKEN)), "critical", "says so"),
    ("two-sessions", with_messages(status(BASE, False, session=2), status(BASE, False, session=1)),
     "critical", "counted twice"),
    ("two-sessions", with_messages(reading(BASE, ts=NOW + 9)), "critical", "boot 7, seq 1"),
    ("two-sessions", with_messages(status(BASE, alerts=["client-id-taken"]), status(BASE, False)),
     "critical", "says so"),
    ("two-sessions", with_messages(*[status(BASE, False, session=n) for n in (2, 3, 4)]),
     "warning", "3 times"),
    ("unknown-device", with_messages(reading("limpet/home/desk/climate/x")), "warning", "/x"),
    ("clock", replace(RIGHT, messages=(reading(BASE, ts=NOW + 90), reading(OTHER))), "warning",
     "90 s ahead"),
    ("clock", replace(RIGHT, messages=(reading(BASE, ts=NOW - 90), reading(OTHER, ts=NOW - 95))),
     "warning", "All 2 devices are 92 s behind"),
    ("clock", with_messages(message("limpet/time", {"v": 1, "ts": NOW - 6}, 0)), "warning",
     "broker's clock is 6 s behind"),
    ("qos", replace(RIGHT, granted=0), "warning", "grants QoS 0"),
    ("qos", replace(RIGHT, returned=0), "warning", "delivered with QoS 0"),
    ("qos", with_messages(reading(BASE, qos=0)), "warning", "arrive with QoS 0"),
    ("slashes", with_messages(message("/limpet/x", 1)), "warning", "/limpet/x"),
    ("slashes", with_messages(message(f"{BASE}/e/f/g/h", 1)), "warning", "/g/h"),
    ("leftovers", with_messages(status("limpet/home/old/climate/node-1")), "warning", "/old/"),
    ("leftovers", with_messages(message(f"{BASE}/commands", {}, retained=True)), "warning",
     "of its moment"),
    ("offline", with_messages(status(BASE, status="offline", reason="lost")), "note", "(lost)"),
    ("offline", replace(RIGHT, messages=(status(BASE),)), "note", "node-2: never heard"),
    ("alerts", with_messages(status(BASE, alerts=["no-time"])), "warning", "no-time"),
    ("alerts", with_messages(status(BASE, mode="safe")), "warning", "safe mode"),
]  # fmt: skip


def test_what_is_right_is_left_alone() -> None:
    """Not one check has anything to say, and none of nothing at all."""
    assert examine(RIGHT) == []
    assert examine(Facts(NOW)) == []


@pytest.mark.parametrize(("check", "facts", "level", "word"), WRONG, ids=lambda x: str(x)[:20])
def test_what_is_wrong_is_found(check: str, facts: Facts, level: str, word: str) -> None:
    """By its check, as bad as it is, with what it means and what to do; and by no other."""
    found = examine(facts)
    assert {each.check for each in found} == {check}
    said = [each for each in found if each.check == check]
    assert said[0].level == level
    assert word in said[0].cause
    assert all(each.means and each.remedy for each in said)


def test_each_check_is_tried_and_told() -> None:
    """Above, and in docs/doctor.md."""
    assert {check for check, *_ in WRONG} == set(CHECKS)
    page = (REPO / "docs" / "doctor.md").read_text()
    assert [name for name in CHECKS if f"\n| `{name}` |" not in page] == []


def test_worst_first() -> None:
    """Whichever check comes first."""
    facts = replace(with_end(-1), takes_over=True, address="8.8.8.8", process=Process(1, 1, 1))
    levels = [LEVELS.index(each.level) for each in examine(facts)]
    assert levels == sorted(levels)
    assert len(set(levels)) == 3


ODD = [b"", b"\xff", b"[]", b"null", b'{"ts":true}', b'{"boot":"x"}', b"[" * 9999]
ODD += [b'{"boot":[],"seq":1,"ts":1,"session":{}}']
ODD += [b'{"alerts":3,"status":[],"outage":7}', b'{"ts":1e400,"boot":true,"status":"online"}']
TOPICS = ["", "/", "a", f"{BASE}/status", f"{BASE}/telemetry", "limpet/time"]


@pytest.mark.parametrize("payload", ODD, ids=range(len(ODD)))
@pytest.mark.parametrize("topic", TOPICS)
def test_whatever_comes(topic: str, payload: bytes) -> None:
    """A Message may be anybody's: no check falls over it."""
    for retained in (False, True):
        facts = with_messages(Message(topic, payload, 1, retained, NOW))
        assert all(isinstance(each, Finding) for each in examine(facts))


def test_many_are_listed_in_part() -> None:
    """A fleet has a thousand devices, and a terminal 24 lines."""
    devices = tuple(
        Own(f"n-{n}", f"limpet/a/b/c/n-{n}", CONFIG._replace(keepalive_s=900)) for n in range(1000)
    )
    found = examine(replace(RIGHT, devices=devices))
    assert len(found) < 10
    assert any("and 995 more" in each.cause for each in found)


def test_what_is_one_device() -> None:
    """It starts anew, says its birth again, and a will and Readings of before come late."""
    late = message(f"{BASE}/telemetry/backlog", {"v": 1, "boot": 5, "seq": 1})
    will = status(BASE, False, status="offline", boot=6, session=9)
    births = [status(BASE, False, boot=8, session=n) for n in (1, 1, 1)]
    lost = status(BASE, False, boot=8, session=3, outage={"s": 5, "cause": "closed"})
    assert examine(with_messages(late, will, *births, lost, reading(BASE, boot=8))) == []


def test_logins_have_the_next_port() -> None:
    """mosquitto's second listener is the same broker."""
    assert examine(with_config(port=8884, username="node-1")) == []
    assert [each.check for each in examine(with_config(port=8884))] == ["other-broker"]


HOSTILE = "limpet/home/o'; reboot #/climate/$(id)"


def test_what_is_shown_to_be_copied_is_one_word_of_a_shell() -> None:
    """Who may publish chooses the topic, and who looks copies the line into a shell."""

    def words(*found: str) -> list[str]:
        (one,) = examine(with_messages(*(status(each) for each in found)))
        return shlex.split(one.remedy)

    first, start = f"{HOSTILE}/status", ["limpet", "doctor", "--clear-retained"]
    assert words(HOSTILE) == [*start, first]
    again = status(HOSTILE), message(f"{HOSTILE}/health", {}, retained=True)
    (one,) = examine(with_messages(*again))
    assert shlex.split(one.remedy) == [*start, f"{HOSTILE}/#"]
    assert words("limpet/home/\x1b[2J/climate/x") == [*start, "limpet/home/+/climate/x/status"]
    (one,) = examine(replace(RIGHT, logged=Logged({}, {"$(id)": 9}, {})))
    assert one.remedy.endswith("limpet fleet renew '$(id)'.")
    assert words("n" * 60_000) == [*start, "FILTER"]
    # What clears it tells a way for a device that is gone.
    told = shlex.split(clearing._remedy(Path("fleet"), first), comments=False)
    assert told[told.index("--zone") + 1] == "o'; reboot #"
    assert "$(id)" in told
    for nobodys in ("limpet/a/b/c/\x1b[2J/status", f"limpet/a/b/c/{'n' * 60_000}/status"):
        assert clearing._remedy(Path("fleet"), nobodys).startswith("Only who administers")


def test_a_finding_is_short_whatever_somebody_says() -> None:
    """A topic may have 65,535 bytes, an alert a whole Message, and a number any digits."""
    long = "n" * 60_000
    many = with_messages(
        message(f"limpet/a/b/c/{long}/status", {}, retained=True),
        message(f"limpet/a/b/c/{long}/telemetry", {}),
        status(BASE, alerts=[long], boot=10**4000),
        status(BASE, boot=7),
        status(OTHER, status="offline", reason=long),
        message("limpet/time", {"v": 1, "ts": -1e300}),
    )
    found = examine(many)
    assert {"leftovers", "unknown-device", "two-sessions", "offline", "clock"} <= {
        each.check for each in found
    }
    assert max(len(f"{each.cause}{each.remedy}") for each in found) < 1_500
    assert "The broker's clock is more than a year behind this machine's." in {
        each.cause for each in found
    }


LOG = """\
1790000000: New client connected from 10.0.0.9:4711 as old (p2, c1, k60, u'old').
1789990000: Client old already connected, closing old connection.
1790000000: New client connected from 10.0.0.9:4711 as node-1 (p2, c0, k60, u'node-1').
1790000001: New client connected from 10.0.0.9:4712 as grafana (p5, c1, k0).
1790000002: grafana 0 limpet/#
1790000003: Client grafana already connected, closing old connection.
1790000004: New client connected from 10.0.0.9:4713 as grafana (p5, c1, k900).
1790000005: reader 0 limpet/#
1790000006: reader 1 limpet/#
1790000007: mosquitto version 2.0.21 running \x1b[2J
"""


def test_the_log_of_mosquitto(tmp_path: Path) -> None:
    """The last word of each client counts, and of what has happened the last hour."""
    path = tmp_path / "log"
    path.write_bytes(LOG.encode() + b"\xff\n" + b"x" * 100_000)
    assert log.read(path) == Logged(
        {"old": 60, "node-1": 60, "grafana": 900}, {"grafana": 1}, {"grafana": "limpet/#"}
    )
    with pytest.raises(Problem, match="No such file"):
        log.read(tmp_path / "none")
