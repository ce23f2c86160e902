"""What RabbitMQ and NATS say of themselves, read and judged; test_follow.py runs them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers import capacity as formula
from limpet.brokers.written import Written, plan_by
from limpet.doctor import figures
from limpet.doctor.figures import Numbers
from limpet.doctor.live import monitor, parsed
from limpet.doctor.live.monitor import Monitor
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.ports import standing_ports
from support.tool import limpet

METRICS = """\
# TYPE rabbitmq_identity_info untyped
rabbitmq_identity_info{rabbitmq_node="limpet@localhost"} 1
rabbitmq_connections 9
rabbitmq_process_resident_memory_bytes 133169152
rabbitmq_resident_memory_limit_bytes 4.0e8
rabbitmq_erlang_uptime_seconds 7200.5
rabbitmq_auth_attempts_failed_total{protocol="mqtt"} 20
rabbitmq_queue_messages 12000
rabbitmq_global_messages_received_total{protocol="amqp091"} 100
rabbitmq_global_messages_received_total{protocol="mqtt311"} 900
rabbitmq_global_messages_delivered_total{protocol="mqtt50",queue_type="rabbit_classic_queue"} 995
rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type="a",dead_letter_strategy="b"} 3
rabbitmq_global_messages_dead_lettered_maxlen_total{queue_type="b",dead_letter_strategy="b"} 2
"""


def _levels(said: Numbers) -> dict[str, str]:
    return {each.name: each.level for each in figures.judged(said, formula.limits(50))}


def test_rabbitmqs_page() -> None:
    """All kinds of queues and protocols together, against its own limit of memory."""
    said = parsed.of_rabbitmq(METRICS)
    assert (said.connections, said.received, said.sent, said.dropped) == (9, 1000, 995, 5)
    assert said.refused_hour == pytest.approx(10, rel=0.01)
    assert _levels(said) == {
        "connections": "ok",
        "memory": "ok",
        "in flight": "warning",
        "dropped": "warning",
        "refused logins": "warning",
    }
    assert _levels(replace(said, memory_limit=140e6))["memory"] == "critical"


def _stream(name: str, count: object) -> dict[str, Any]:
    return {"name": name, "state": {"messages": count}}


def _gone(reason: str, stop: str, number: int = 1) -> dict[str, Any]:
    return {"cid": number, "reason": reason, "stop": stop, "ip": "127.0.0.1"}


def test_natss_pages() -> None:
    """Retained ones are in a stream of their own; refused ones of the last hour count."""
    varz = {
        "server_id": "N",
        "connections": 16,
        "max_connections": 19,
        "mem": 20729856,
        "in_client_msgs": 6,
        "start": "2026-11-30T02:00:06.164864787Z",
        "now": "2026-11-30T04:00:06.82037554Z",
    }
    streams = [_stream("$MQTT_msgs", 5), _stream("$MQTT_rmsgs", 100_000), _stream("$MQTT_out", 2)]
    closed = [
        _gone("Authentication Failure", "2026-11-30T03:59:06Z") | {"mqtt_client": "node-9\x1b[1m"},
        _gone("TLS Handshake Failure", "2026-11-30T03:58:06Z", 2),
        _gone("TLS Handshake Failure", "2026-11-30T02:58:06Z", 3),
        _gone("Client Closed", "2026-11-30T03:58:06Z", 4),
    ]
    jsz = {"account_details": [{"stream_detail": streams}]}
    said = parsed.of_nats(varz, jsz, {"connections": closed})
    assert (said.waiting, said.retained, said.refused_hour) == (7, 100_000, 2)
    assert said.uptime_s == pytest.approx(7200.66, abs=0.01)
    assert [(each.who, each.id) for each in said.refusals] == [
        ("node-9\\x1b[1m", 1),
        ("127.0.0.1", 2),
        ("127.0.0.1", 3),
    ]
    levels = _levels(said)
    assert (levels["connections"], levels["retained"]) == ("warning", "warning")


@pytest.mark.parametrize("wrong", [None, [], "x", {"connections": "nan"}, {"start": 5, "now": []}])
def test_garbage_says_nothing(wrong: Any) -> None:
    """Whatever answers, nothing is raised."""
    streams = {"account_details": [5, {"stream_detail": [7, _stream("$MQTT_msgs", "x")]}]}
    assert _levels(parsed.of_nats(wrong, streams, wrong)).keys() <= {"refused logins"}
    assert _levels(parsed.of_nats(wrong, wrong, {"connections": [wrong]}))["refused logins"] == "ok"
    assert not parsed.of_rabbitmq(
        f"rabbitmq_connections 1.2.3\n{wrong}\nrabbitmq_queues nan"
    ).said()


def test_the_rate_is_twice_the_usual() -> None:
    """Between two looks, beside the mean since the start; not of a handful, nor of a young one."""
    old = Numbers(received=100_000, uptime_s=10_000)
    for more, level in ((99, "ok"), (102, "warning")):
        now = replace(old, received=100_000 + more, uptime_s=10_005)
        rate = figures.rate(figures.with_rate(old, now, 5.0))
        assert rate.level == level
        assert "; usual are 10.0" in rate.words()
        assert rate.words().endswith(", over 3 hours")
    few = Numbers(received=100, uptime_s=10_000)
    assert figures.rate(figures.with_rate(few, replace(few, received=119), 5.0)).level == "ok"
    young = Numbers(received=100, uptime_s=800)
    many = figures.rate(figures.with_rate(young, replace(young, received=9_000), 5.0))
    assert (many.level, many.warning) == ("ok", None)


@contextmanager
def _answers(pages: dict[str, bytes], endless: bool = False) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = pages.get(self.path)
            self.send_response(200 if page is not None else 404)
            self.end_headers()
            try:
                self.wfile.write(page or b"")
                while endless:
                    self.wfile.write(b"x" * 65_536)
            except OSError:
                pass

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_other_pages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A web server, one that never ends, nobody at all; a proxy of the environment is not asked."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    with _answers({"/metrics": METRICS.encode()}) as url:
        assert Monitor(url + "/").numbers().connections == 9
    with _answers({"/varz": b"[]", "/metrics": b"hello"}) as url, _fails("neither NATS's monitor"):
        Monitor(url).numbers()
    with _answers({"/varz": b""}, endless=True) as url, _fails("does not end"):
        Monitor(url).numbers()
    with _fails("Nothing answers"):
        Monitor(url).numbers()


def _fails(match: str) -> pytest.RaisesExc[Problem]:
    return pytest.raises(Problem, match=match)


@pytest.mark.parametrize("url", ["8222", "ftp://x", "http://", "http://h:99999", "http://[", ""])
def test_addresses_that_are_none(url: str) -> None:
    """Each with what one looks like."""
    with pytest.raises(Problem, match="is no address of a page") as caught:
        Monitor(url)
    assert "http://127.0.0.1:8222" in caught.value.remedy


def test_no_password_on_the_command_line() -> None:
    """Every user of the machine reads it there; it is not repeated either."""
    done = limpet("capacity", "--live", "--figures", "http://me:secret@127.0.0.1:8222")
    assert done.returncode == 3
    assert "secret" not in done.stdout + done.stderr


def test_it_is_in_the_files_that_are_written(setup: Setup, tmp_path: Path) -> None:
    """On loopback alone; and `--live` finds it there."""
    layout = setup.layout
    for kind, port in (("rabbitmq", "tcp.port = 15692"), ("nats", 'http: "127.0.0.1:8222"')):
        plan = plan_by(layout, Written(kind, str(tmp_path / kind), "", 8883, 50))
        texts = "\n".join(monitor.kinds.KINDS[kind].render(plan).values())
        assert port in texts
        without = "\n".join(
            monitor.kinds.KINDS[kind].render(replace(plan, figures_port=0)).values()
        )
        assert port not in without
        assert "prometheus" not in without


def test_a_page_that_is_away() -> None:
    """It is said where the figures were to be."""
    (port,) = standing_ports(1)
    with pytest.raises(Problem, match=f"Nothing answers at http://127.0.0.1:{port}"):
        Monitor(f"http://127.0.0.1:{port}").numbers()
