"""When `limpet doctor --follow` tells something, and when it is over; and what a log says."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from limpet.doctor.figures import Judged, Numbers, Refusal
from limpet.doctor.live.alarms import KINDS, LOOKS, OTHERS, Alarms, Repeated, Usual
from limpet.doctor.live.log_lines import Login, Tail, parse
from limpet.shared.problem import Problem


def _judged(value: float) -> Judged:
    return Judged("connections", value, "", 80, 95, 100, "Size it.")


def _told(values: list[float]) -> list[tuple[int, str, str]]:
    alarms = Alarms()
    found: list[tuple[int, str, str]] = []
    for look, value in enumerate(values):
        found += [(look, each.was, each.level) for each in alarms.take([_judged(value)])]
    return found


def test_a_threshold_is_told_once_and_its_end_once() -> None:
    """At once when it is crossed; over when it was clearly below in three looks in a row."""
    assert _told([79, 80, 81, 94, 95, 96]) == [(1, "ok", "warning"), (4, "warning", "critical")]
    assert _told([80, 75, 75, 75]) == [(0, "ok", "warning"), (3, "warning", "ok")]
    assert _told([80, 75, 75, 80, 75, 75, 75])[1:] == [(6, "warning", "ok")]
    assert _told([96, 85, 85, 85]) == [(0, "ok", "critical"), (3, "critical", "warning")]
    assert _told([96, 10, 10, 10]) == [(0, "ok", "critical"), (3, "critical", "ok")]


def test_it_does_not_flap() -> None:
    """To and fro about a threshold, for a thousand looks: one line."""
    chance = random.Random(7)
    assert len(_told([chance.uniform(77, 83) for _ in range(1000)])) == 1
    assert LOOKS > 1


def test_what_is_usual_is_learned() -> None:
    """Not known for five minutes; then the median, which a burst does not move; a broker that
    starts anew is no burst.
    """
    usual, count, seen = Usual(), 0.0, []
    for second in range(0, 1800, 10):
        count += 1000 if 1000 <= second < 1100 else 50
        if second == 1500:
            count = 0.0
        seen.append(usual.take(Numbers(received=count), float(second)))
    early = [each.usual for each in seen[:30]]
    assert early == [None] * 30
    assert seen[0].rate is None
    assert {each.usual for each in seen[31:]} == {5.0}
    assert max(each.rate or 0 for each in seen) > 90
    assert seen[-1].rate == 5.0
    assert usual.take(Numbers(connections=1), 1800.0).rate is None


def test_what_is_repeated_is_counted() -> None:
    """A hundred kinds by name, all others together; once a minute how many more."""
    repeated = Repeated()
    assert repeated.take("a", 0.0)
    assert not repeated.take("a", 1.0, 5)
    for number in range(2 * KINDS):
        repeated.take(f"kind {number}", 2.0)
    assert repeated.more(59.0) == []
    more = dict(repeated.more(60.0))
    assert (more.pop("a"), more.pop(OTHERS)) == (5, KINDS)
    assert more == {}
    assert not repeated.take("a", 61.0)
    assert repeated.more(120.0) == [("a", 1)]
    assert repeated.more(180.0) == []
    assert repeated.take("a", 181.0)


TLS = "its certificate or its TLS is refused: "


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "1796004069: New client connected from 127.0.0.1:40165 as node-9 (p2, c1, k60, u'a').",
            Login("node-9"),
        ),
        ("1796: Client node-9 disconnected, not authorised.", Refusal("node-9", "not authorised")),
        (
            "1796: Client node-9 [10.0.0.1:5] disconnected: not authorised.",
            Refusal("node-9", "not authorised"),
        ),
        (
            "1796: OpenSSL Error[0]: error:0A000086:SSL routines::certificate verify failed",
            Refusal("", TLS + "certificate verify failed"),
        ),
        (
            "1: OpenSSL Error[0]: error:1417C086:SSL routines:tls_process_client_certificate:"
            "certificate verify failed",
            Refusal("", TLS + "certificate verify failed"),
        ),
        (
            "1: Client connection from 127.0.0.1 failed: error:0A00009C:SSL routines::"
            "http request.",
            Refusal("127.0.0.1", TLS + "http request"),
        ),
        (
            "2026-11-30 02:00:53+00:00 [error] <0.709.0> MQTT connection failed: access refused "
            "for user 'node-9':user 'node-9' - invalid credentials",
            Refusal("node-9", "invalid credentials"),
        ),
        (
            "[notice] <0.712.0> TLS server: In state wait_cert at ssl_handshake.erl:2169 generated "
            "SERVER ALERT: Fatal - Certificate Revoked",
            Refusal("", TLS + "Certificate Revoked"),
        ),
        (
            '[1] 2026/11/30 02:00:06 [ERR] 127.0.0.1:46 - mid:33 - "node-9" - authentication error',
            Refusal("node-9", "authentication error"),
        ),
        (
            "[1] [ERR] 127.0.0.1:39869 - mid:35 - TLS handshake error: tls: failed to verify",
            Refusal("127.0.0.1:39869", TLS + "tls: failed to verify"),
        ),
        ("[1] [INF] Server is ready", None),
        ("1796: Client node-1 disconnected.", None),
        ("1796: Client node-1 has exceeded timeout, disconnecting.", None),
        ("", None),
    ],
)
def test_lines_of_logs(line: str, found: object) -> None:
    """As mosquitto 2.0 and 2.1, RabbitMQ 4.0 and NATS 2.15 have said them."""
    assert parse(line + "\n") == found


def test_a_line_cannot_steer_a_terminal() -> None:
    """A client may call itself anything."""
    found = parse("Client \x1b[2J\x07x disconnected, not authorised." + "y" * 100_000)
    assert isinstance(found, Refusal)
    assert found.who == "\\x1b[2J\\x07x"


def test_a_log_that_grows(tmp_path: Path) -> None:
    """What is there is not told; half a line waits; emptied, moved away, and made anew."""
    path = tmp_path / "log"
    path.write_text("old\n")
    tail = Tail(path)
    assert list(tail.lines()) == []
    with path.open("a") as file:
        file.write("one\ntw")
    assert list(tail.lines()) == ["one"]
    with path.open("a") as file:
        file.write("o\n")
    assert list(tail.lines()) == ["two"]
    path.write_text("\n")
    assert list(tail.lines()) == [""]
    with path.open("a") as file:
        file.write("last of it\n")
    os.replace(path, tmp_path / "log.1")
    path.write_text("new\n")
    assert list(tail.lines()) == ["last of it", "new"]
    path.unlink()
    assert list(tail.lines()) == []
    tail.close()
    tail.close()


def test_a_log_that_comes_later(tmp_path: Path) -> None:
    """From its first line on; a folder is none."""
    tail = Tail(tmp_path / "log")
    assert list(tail.lines()) == []
    (tmp_path / "log").write_text("first\n" + "x" * 100_000)
    assert list(tail.lines()) == ["first"]
    tail.close()
    with pytest.raises(Problem, match="directory"):
        Tail(tmp_path)
