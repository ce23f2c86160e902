"""`limpet capacity`: the arithmetic, the command, and a mosquitto that is asked."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from limpet.brokers.capacity import Limits, limits
from limpet.brokers.setup import open_setup
from limpet.doctor import capacity, figures, sizing
from limpet.doctor.live import parsed
from limpet.doctor.probe import Probe, Seen
from limpet.identity.provisioning import Setup
from limpet.ingest.intake import Reading
from limpet.ingest.sqlite_store import SqliteStore
from limpet.ingest.store import Batch
from limpet.shared.problem import Problem
from support.brokers.kinds import of_kind
from support.brokers.running import base, fields
from support.fleets import fleet
from support.tool import limpet

LONG_S = 60.0


def test_a_fleet_by_hand() -> None:
    """A thousand devices, each 10 s, for two services: worked out without the code."""
    needs = sizing.sizing(limits(1000, 2, 1), 10)
    assert needs.limits.connections == 1207
    assert needs.limits.open_files == 1207 + 2048 + 128
    assert (needs.incoming, needs.outgoing) == (100, 200)
    assert (needs.incoming_bytes, needs.outgoing_bytes) == (15_500, 31_000)
    assert needs.usual_bytes == 64 * 2**20 + 1207 * 44 * 1024 + 1000 * 16 * 1024
    assert needs.year_bytes == pytest.approx(100 * 31_536_000 * 42)
    assert needs.storm_s == pytest.approx(3.0)


def test_more_devices_need_more() -> None:
    """Nothing is smaller for a larger fleet."""
    needs = [sizing.sizing(limits(each), 10) for each in (0, 1, 100, 10_000, 1_000_000)]
    for less, more in pairwise(needs):
        for name in ("usual_bytes", "most_bytes", "incoming", "storm_s", "year_bytes"):
            assert getattr(less, name) <= getattr(more, name), name
        assert less.usual_bytes < less.most_bytes


@pytest.mark.parametrize(
    ("devices", "interval_s", "broker", "store"),
    [
        (50, 10, "One mosquitto", "SQLite"),
        (9_999, 3_600, "One mosquitto", "SQLite"),
        (10_000, 3_600, "A cluster", "SQLite"),
        (1_000, 10, "One mosquitto", "TimescaleDB"),
        (9_000, 1, "One mosquitto", "TimescaleDB"),
        (9_000, 0.5, "One mosquitto", "`limpet ingest --workers 2`"),
    ],
)
def test_what_to_put_where(devices: int, interval_s: float, broker: str, store: str) -> None:
    """By the number of devices, and by how much they say."""
    first, second = sizing.sizing(limits(devices), interval_s).advice
    assert first.startswith(broker)
    assert store in second


@pytest.mark.parametrize("count", [2, 4])
def test_bytes_of_a_reading(tmp_path: Path, count: int) -> None:
    """What the SQLite store takes for one is what the arithmetic says, within a quarter."""
    store, chance = SqliteStore(tmp_path / "limpet.db"), random.Random(1)
    names = [f"node-{number}" for number in range(50)]
    said = 400
    for first in range(0, said, 20):
        batch = Batch(now=1_780_000_000, bases={name: base(name) for name in names})
        for seq in range(first, first + 20):
            for name in names:
                values: dict[str, float | None] = {
                    f"field_{each}": round(chance.uniform(15, 60), 1) for each in range(count)
                }
                batch.readings.append(Reading(name, 7, seq, 1_780_000_000 + 10 * seq, None, values))
        store.write(batch)
    store.close()
    taken = (tmp_path / "limpet.db").stat().st_size / (said * len(names))
    assert taken == pytest.approx(sizing.ROW_BYTES + sizing.FIELD_BYTES * count, rel=0.25)


def test_it_is_of_the_fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Devices, services and interval are the fleet's; what is said goes before it."""
    root = fleet(tmp_path / "fleet")
    made = open_setup(root)
    for name, interval in (("node-1", 10), ("node-2", 30)):
        made.device(fields(name) | {"interval_s": interval})
    assert capacity.capacity(fleet=root, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["limits"]["devices"], said["limits"]["services"]) == (2, 2)
    assert said["incoming"] == pytest.approx(1 / 10 + 1 / 30)
    assert capacity.capacity(devices=300, services=0, interval=1, fleet=root, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["limits"]["connections"], said["incoming"], said["outgoing"]) == (363, 300, 0)
    assert capacity.capacity(fleet=root) == 0
    text = capsys.readouterr().out
    assert text.startswith("2 devices, 2 services, 1 monitor; a Reading of 2 fields each 15 s\n")
    assert "file descriptors  2,186, 2,048 of them" in text


def test_as_a_process(tmp_path: Path) -> None:
    """With --devices it needs no fleet; without, it says what to do."""
    env = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    done = limpet("capacity", "--devices", "0", cwd=tmp_path, **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "  connections       7\n" in done.stdout
    done = limpet("capacity", cwd=tmp_path, **env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no fleet" in done.stderr


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (15_500, "15.5 KB"), (2e15, "2,000.0 TB")],
)
def test_sizes_are_readable(count: float, text: str) -> None:
    """In thousands."""
    assert capacity.size(count) == text


def test_a_running_mosquitto(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says all its figures, and each is well; sized too small it is told with 1 and 2."""
    monkeypatch.setattr(Probe.look, "__defaults__", (LONG_S,))
    monkeypatch.setattr(capacity, "LISTEN_S", 0.2)
    running = of_kind("mosquitto", setup)
    running.start()
    try:
        root = setup.layout.root
        assert capacity.capacity(live=True, port=running.port, fleet=root) == 0
        text = capsys.readouterr().out
        names = ("connections", "memory", "retained", "in flight", "dropped", "Messages", "unknown")
        assert [line.split("ok")[1].split()[0] for line in text.splitlines()[1:]] == [
            each.split()[0] for each in names
        ]

        def small(layout: object, kind: str) -> Limits:
            return replace(limits(50), memory_bytes=1_000)

        monkeypatch.setattr(capacity, "limits_of", small)
        assert capacity.capacity(live=True, port=running.port, fleet=root, as_json=True) == 2
        said = json.loads(capsys.readouterr().out)
        assert said["level"] == "critical"
        assert {each["name"]: each["level"] for each in said["figures"]}["memory"] == "critical"
    finally:
        running.close()


def test_a_broker_that_says_nothing(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The embedded one, and one that is down: 3, with the cause."""
    monkeypatch.setattr(Probe.look, "__defaults__", (LONG_S,))
    running = of_kind("amqtt", setup)
    running.start()
    root = setup.layout.root
    try:
        assert capacity.capacity(live=True, port=running.port, fleet=root) == 3
        assert "says nothing of itself" in capsys.readouterr().err
    finally:
        running.close()
    failed = Seen(failed=("TCP", Problem("It is away.", "Start it.")))
    monkeypatch.setattr(Probe, "look", lambda probe: probe._client.close() or failed)
    assert capacity.capacity(live=True, port=running.port, fleet=root) == 3
    assert capsys.readouterr().err == "limpet: It is away.\nStart it.\n"


class Nobody:
    """Listens to a broker on which nobody is unknown."""

    def __init__(self, where: object) -> None:
        pass

    def __enter__(self) -> Nobody:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def strangers(self) -> tuple[list[str], int]:
        """Nobody is."""
        return [], 0


def test_strangers_beyond_those_with_names() -> None:
    """Of those only the Messages are known: they are no number of devices."""
    names = [f"o/s/z/t/x-{number}" for number in range(100)]
    some, many = figures.unknown(names[:4]), figures.unknown(names, 106)
    assert (some.value, many.value, many.level) == (4, 100, "warning")
    assert some.words().endswith("x-2 and others")
    assert many.words().endswith("and others; or more, as further ones said 106 Messages")


def test_the_worst_figure_counts(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A warning is 1; one that is critical beside it is 2."""
    said = {parsed.RETAINED: b"100000"}

    def look(probe: Probe) -> Seen:
        probe._client.close()
        return Seen(where="broker:8883", said=said)

    monkeypatch.setattr(Probe, "look", look)
    monkeypatch.setattr(capacity, "Listening", Nobody)
    monkeypatch.setattr(capacity, "LISTEN_S", 0.0)
    assert capacity.capacity(live=True, fleet=setup.layout.root) == 1
    assert "broker:8883: warning" in capsys.readouterr().out
    said |= {parsed.STORED: b"150000"}
    assert capacity.capacity(live=True, fleet=setup.layout.root) == 2
    assert "critical  in flight 50,000" in capsys.readouterr().out
