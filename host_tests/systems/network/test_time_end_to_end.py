"""A whole node that gets its time from a real time server, over TLS to a real broker."""

from __future__ import annotations

import time
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from limpet.identity.provisioning import Setup
from support.brokers.mqtt_client import Client
from support.brokers.running import RunningBroker, base
from support.brokers.scripted_broker import ScriptedBroker, server_context
from support.micropython.esp32_layer import build
from support.nodes import TIMEOUT_S, Node, StartNode, at, readings, value, wait_for_readings
from support.ntp_server import NtpServer

SPEED = 10  # a gap of 10 s is one real second
START = 1_900_000_000


class FastTime:
    """Time of day that runs as fast as the node's, and steps by `offset_s`."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._began = time.monotonic()

    def __call__(self) -> float:
        """Return Unix time."""
        return START + self.offset_s + SPEED * (time.monotonic() - self._began)


def taken(node: Node) -> list[float]:
    """Return the seconds since boot at which the Readings so far were taken."""
    return [at(line) for line in node.said(" sampler reading ")]


def test_readings_from_before_the_time_was_known_arrive_with_theirs(
    broker: RunningBroker, node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node without time takes Readings, connects after 20 s, and sends nothing that it cannot
    stamp; when a server answers at last, every Reading arrives with the time at which it was taken.
    """
    operator = broker.operator()
    clock = FastTime()
    with NtpServer(clock) as server:
        server.silent = True
        monkeypatch.setenv("LIMPET_NTP", server.address)
        before = clock()
        # Far longer than the busiest machine takes: here nothing is to be sent without a time.
        running = node(broker, speed=SPEED, config={"interval_s": 2, "no_time_after_s": 86400})
        running.until(" node boot=")
        after = clock()
        up_s = at(running.until(" link up "))
        assert 20 <= at(running.until(" clock floor ")) <= up_s
        running.until(f"sampler reading seq={len(taken(running)) + 2} ")
        assert not readings(operator)
        server.silent = False
        line = running.until(" clock set ")
        late = len(taken(running))
        arrived = wait_for_readings(operator, late + 3)
    boot = int(value(line, "unix")) - at(line)
    assert before - 2 <= boot <= after + 2
    assert [each["seq"] for each in arrived] == list(range(late + 4))
    for reading, up in zip(arrived, taken(running), strict=False):
        assert abs(reading["ts"] - boot - up) <= 2
    assert not running.said("link down")


def test_step_of_the_time_moves_no_deadline(
    broker: RunningBroker, node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server's time goes an hour forward and two back, Readings stay 2 s apart and the
    Link stays up; their times follow the server's.
    """
    operator = broker.operator()
    clock = FastTime()
    with NtpServer(clock) as server:
        monkeypatch.setenv("LIMPET_NTP", server.address)
        monkeypatch.setenv("LIMPET_NTP_CHECK", "5")
        running = node(broker, speed=SPEED, config={"interval_s": 2})
        running.until(" link up ")
        for hours in (1, -1):
            begun = len(running.lines)
            clock.offset_s = 3600 * hours
            running.until(
                lambda line: "clock set" in line and len(value(line, "step_ms")) > 5, begun
            )
            running.until(f"sampler reading seq={len(taken(running)) + 2} ")
        arrived = wait_for_readings(operator, len(taken(running)) - 2)
    up = taken(running)
    gaps = [b - a for a, b in pairwise(up)]
    assert max(gaps) < 10
    assert len(up) > (up[-1] - up[0]) / 2 * 0.8
    steps = [b["ts"] - a["ts"] for a, b in pairwise(arrived)]
    assert [round(step / 3600) for step in steps if abs(step) > 60] == [1, -2]
    assert len(running.said(" link up ")) == 1
    assert not running.said("link down")


def alerts(operator: Client) -> list[dict[str, Any]]:
    """Return what was said of `no-time` so far."""
    said = [message.json() for message in operator.seen(f"{base()}/alerts")]
    return [each for each in said if each["alert"] == "no-time"]


def wait_for_alert(operator: Client, state: str) -> dict[str, Any]:
    """Wait until `no-time` is in that state and return the alert."""
    found: dict[str, Any] = operator.wait_for(
        f"{base()}/alerts",
        lambda message: (message.json()["alert"], message.json()["state"]) == ("no-time", state),
        TIMEOUT_S,
    ).json()
    return found


def test_readings_go_out_without_a_time_in_the_end(
    broker: RunningBroker, node: StartNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node whose time server is silent says `no-time` after as long as its config says, and then
    sends what it has held back, and what it takes, without a time; when the server answers, the
    alert is cleared and Readings have their time again.
    """
    operator = broker.operator()
    clock = FastTime()
    telemetry = f"{base()}/telemetry"
    with NtpServer(clock) as server:
        server.silent = True
        monkeypatch.setenv("LIMPET_NTP", server.address)
        running = node(broker, speed=SPEED, config={"interval_s": 2, "no_time_after_s": 60})
        assert wait_for_alert(operator, "raised")["ts"] is None
        held = len(taken(running))
        assert running.said(" clock no-answer ")
        # Both: what was on flash by then, in batches, and what is taken from now on.
        operator.wait_for(telemetry, lambda message: message.json()["seq"] > held, TIMEOUT_S)
        wait_for_readings(operator, held)
        early = readings(operator)
        server.silent = False
        operator.wait_for(telemetry, lambda message: message.json()["ts"] is not None, TIMEOUT_S)
        cleared = wait_for_alert(operator, "cleared")
    topics = [message.topic for message in operator.messages]
    first = min(topics.index(each) for each in set(topics) if each.startswith(telemetry))
    assert topics.index(f"{base()}/alerts") < first  # not before it was given up
    assert {each["ts"] for each in early} == {None}
    ups = [at(line) for line in running.said(" sampler reading ")]
    for each in early:
        assert abs(each["up"] - ups[each["seq"]]) <= 2
    assert abs(cleared["ts"] - clock()) < 3600
    assert [each["state"] for each in alerts(operator)] == ["raised", "cleared"]
    last = operator.seen(telemetry)[-1].json()
    assert abs(last["ts"] - clock()) < 3600
    assert not running.said("node bug")


def test_time_servers_of_ipv6_alone_end_in_no_reset(
    broker: RunningBroker, node: StartNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Over the ESP32's sockets a server with an address of IPv6 is `dns`, and the next is asked."""
    (tmp_path / "layer").mkdir()
    layer = build(tmp_path / "layer")
    operator = broker.operator()
    with NtpServer(FastTime()) as server:
        monkeypatch.setenv("LIMPET_NTP", f"fd00::1:123,{server.address}")
        running = node(broker, speed=SPEED, config={"interval_s": 2}, ahead=[layer])
        line = running.until(" clock no-answer ")
        assert (value(line, "server"), value(line, "cause")) == ("fd00::1", "dns")
        running.until(" clock set ")
        wait_for_readings(operator, 1)
    assert not running.said("node bug")


def test_certificate_refused_for_its_dates_has_the_time_asked_for_again(
    setup: Setup, node: StartNode, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After `certificate-expired` the clock asks at once, and another server than the first."""
    context = server_context(tmp_path, setup.authority, valid=timedelta(days=-1))
    with (
        ScriptedBroker(context=context) as broker,
        NtpServer(FastTime()) as first,
        NtpServer(FastTime()) as second,
    ):
        monkeypatch.setenv("LIMPET_NTP", f"{first.address},{second.address}")
        running = node(broker, speed=SPEED)
        running.until(" link down cause=certificate-expired ")
        second.wait_for_requests(1)
        running.until(lambda line: len(running.said(" clock set ")) == 2)
    assert len(first.requests) == 1
    assert not running.said("node bug")
