"""The client and the node over the ESP32's ways with sockets: esp32/ ahead on their path."""

from __future__ import annotations

import inspect
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.brokers.running import RunningBroker
from support.brokers.scripted_broker import ScriptedBroker
from support.micropython import client_script, esp32_layer, upy
from support.micropython.client_script import drive, tls_lines
from support.nodes import (
    FAST,
    Commander,
    StartNode,
    assert_right_times,
    value,
    wait_for_readings,
    wait_for_status,
)
from support.ports import closed_port
from unix import test_client, test_client_faults


@pytest.fixture(scope="session")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the layer once."""
    return esp32_layer.build(tmp_path_factory.mktemp("esp32"))


@pytest.fixture
def over_layer(layer: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the layer on the path of every script that `drive` runs."""

    def run(script: str, *, path: list[Path | str], **how: Any) -> str:
        return upy.run(script, path=[layer, *path], **how)

    monkeypatch.setattr(client_script, "run", run)
    return layer


# Cases of the client's own tests: what touches sockets, once each.
AGAIN: list[Callable[..., None]] = [
    test_client.test_connect_says_all_that_was_set,
    test_client.test_one_packet_is_one_tls_record,
    test_client.test_nothing_is_lost_under_a_slow_reader,
    test_client.test_close_by_the_broker_is_told_once,
    test_client.test_stop_disconnects_and_abort_does_not,
    test_client.test_pings_at_half_the_keepalive,
    test_client_faults.test_tcp_has_a_deadline,
    test_client_faults.test_tls_deadline_is_one_for_the_whole_handshake,
    test_client_faults.test_what_is_not_there_has_a_name,
    test_client_faults.test_second_address_is_tried,
    test_client_faults.test_each_address_has_a_deadline_of_its_own,
    test_client_faults.test_address_that_says_nothing_is_not_the_first_one_again,
    test_client_faults.test_step_does_not_wait_for_tcp,
    test_client_faults.test_step_does_not_wait_for_tls,
    test_client_faults.test_step_does_not_wait_for_the_greeting,
    test_client_faults.test_step_does_not_wait_for_a_reader,
    test_client_faults.test_flood_does_not_keep_a_step_busy,
    test_client_faults.test_every_truncated_answer_ends_with_closed,
]


@pytest.mark.parametrize("case", AGAIN, ids=lambda case: case.__name__.removeprefix("test_"))
def test_client_over_layer(
    case: Callable[..., None], over_layer: Path, request: pytest.FixtureRequest
) -> None:
    """The client's own test passes over the layer as it does without."""
    case(**{name: request.getfixturevalue(name) for name in inspect.signature(case).parameters})


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("foreign", "certificate-untrusted"),
        ("name", "certificate-name"),
        ("plain", "tls-plaintext"),
        ("none", "tls-closed"),
    ],
)
def test_bad_tls_over_layer(
    over_layer: Path, tmp_path: Path, authority: Any, ca: Path, what: str, cause: str
) -> None:
    """What is wrong with a server's TLS has the same names over the layer."""
    test_client_faults.test_bad_tls_has_a_name(tmp_path, authority, ca, what, cause)


class Resetting(ScriptedBroker):
    """A server that resets the connection after `reads` reads."""

    def __init__(self, reads: int, **how: Any) -> None:
        super().__init__(**how)
        self._left = reads

    def _serve(self, number: int, client: socket.socket) -> None:
        for _ in range(self._left):
            client.recv(4096)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


@pytest.mark.parametrize("tls", [False, True])
def test_reset_has_a_name(over_layer: Path, ca: Path, tls: bool) -> None:
    """A reset, which reaches TLS through the layer, ends the connection with its cause."""
    script = tls_lines(ca) + f"\nc = client(ssl={'context' if tls else None})\nup(c)\nprint(*seen)"
    with Resetting(1) as broker:
        assert drive(broker, script) == [f"down {'tls-closed' if tls else 'closed'}"]


# What the layer is worth: each of these differs from what the unix port does.

_RAW = """
import errno, select, socket, time

def tried(call, *args):
    began = time.ticks_ms()
    try:
        said = call(*args)
    except OSError as error:
        said = errno.errorcode.get(error.errno, error.errno)
    # To the nearest: a wait for a core may be told of late, and be taken off the next 100 ms.
    return said, (time.ticks_diff(time.ticks_ms(), began) + 50) // 100

def connected():
    s = socket.socket()
    s.connect(("127.0.0.1", {port}))
    return s
"""


def raw(layer: Path, script: str, port: int = 0, **env: str) -> list[str]:
    """Run `script` with sockets of the layer and nothing else; return the lines it printed."""
    path: list[Path | str] = [layer, upy.OWN_TIME]
    return upy.run(_RAW.format(port=port) + script, path=path, env=env).splitlines()


def test_numbers_are_the_chips(layer: Path, mute: int) -> None:
    """ETIMEDOUT is 116, EHOSTUNREACH 118, EINPROGRESS 119: in `errno` and in what is raised."""
    script = """
s = socket.socket()
s.setblocking(False)
try:
    s.connect(("127.0.0.1", {port}))
except OSError as error:
    print(error.errno)
errno = __import__("errno")
E = errno   # the compiler replaces what is spelt `errno.X`
print(E.ETIMEDOUT, E.EHOSTUNREACH, E.EINPROGRESS)
""".replace("{port}", str(mute))
    assert raw(layer, script) == ["119", "116 118 119"]


def test_time_out_counts_slices_and_blocking_wipes_it(layer: Path, mute: int) -> None:
    """0.25 s is two slices and one to begin with, 0.05 s one; after setblocking(True) none is."""
    script = """
s = connected()
s.settimeout(0.25)
print(*tried(s.read, 1))
s.settimeout(0.05)
print(*tried(s.read, 1))
s.settimeout(0.25)
s.setblocking(True)
print(s._retries)
s.setblocking(False)
print(*tried(s.read, 1))
"""
    lines = raw(layer, script, mute)
    assert lines == ["ETIMEDOUT 3", "None 1", "-1", "None 0"]


def test_refused_connect_is_writable(layer: Path) -> None:
    """A refused connect is POLLOUT; POLLHUP for who asks, POLLERR never; then ECONNRESET."""
    script = """
p = select.poll()
s = socket.socket()
s.setblocking(False)
p.register(s, select.POLLOUT)
print(*tried(s.connect, ("127.0.0.1", PORT)))
for flags in (select.POLLOUT, select.POLLOUT | select.POLLERR, select.POLLOUT | select.POLLHUP):
    p.modify(s, flags)
    print(*[got for _, got in p.ipoll(1000)])
print(*tried(s.read, 1))
""".replace("PORT", str(closed_port()))
    assert raw(layer, script) == ["EINPROGRESS 0", "4", "4", "20", "ECONNRESET 0"]


def test_sockets_are_few_and_the_send_buffer_small(layer: Path, mute: int) -> None:
    """The 11th socket is one too many, a close makes room, a write takes 5744 bytes at most."""
    script = """
held = [socket.socket() for _ in range(10)]
print(*tried(socket.socket))
held[3].close()
s = connected()
s.setblocking(False)
print(s.write(bytes(10000)))
"""
    assert raw(layer, script, mute) == ["23 0", "5744"]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("", "127.0.0.1 0"),
        ("fail", "-202 0"),
        ("fail=-200", "-200 0"),
        ("slow=0.2", "127.0.0.1 2"),
        ("slow=0.1 fail", "-202 1"),
        ("ipv6", "None 0"),
    ],
)
def test_resolver_does_as_it_is_told(layer: Path, tmp_path: Path, told: str, said: str) -> None:
    """Names fail, take their time or have no IPv4 address as the file says; addresses never do."""
    (tmp_path / "dns").write_text(told)
    script = """
def look(host):
    address = socket.getaddrinfo(host, 1883)[0][4]
    return address and address[0]
print(*tried(look, "localhost"))
print(*tried(look, "127.0.0.1"))
"""
    assert raw(layer, script, LIMPET_DNS=str(tmp_path / "dns")) == [said, "127.0.0.1 0"]


def test_node_over_layer(
    broker: RunningBroker,
    node: StartNode,
    layer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A whole node goes through DNS that fails, knows IPv6 alone, and is slow, and a restart.

    Each has its cause, Readings taken meanwhile arrive with their times, and Commands are answered.
    """
    told = tmp_path / "dns"
    told.write_text("fail")
    monkeypatch.setenv("LIMPET_DNS", str(told))
    operator = broker.operator()
    where = {"broker": "localhost", "server_hostname": "127.0.0.1"}
    running = node(broker, speed=20, config=FAST | where, ahead=[layer])
    assert value(running.until("link down"), "cause") == "dns"
    told.write_text("ipv6")
    seen = len(running.lines)
    assert value(running.until("link down", seen), "cause") == "dns"
    told.write_text("slow=0.2")
    running.until("link up")
    assert_right_times(running, wait_for_readings(operator, 3))
    seen = len(running.lines)
    broker.stop()
    assert value(running.until("link down", seen), "cause") == "closed"
    assert value(running.until("link down cause=tcp", seen), "cause") == "tcp-refused"
    told.write_text("")
    broker.start()
    running.until("link up", seen)
    again = broker.operator()
    wait_for_status(again, lambda status: status["status"] == "online")
    assert Commander(again).ask("ping")["status"] == "executed"
    assert running.stop() == 0
    assert not running.said("node bug")
