"""`limpet export`: what is in the store, as CSV and Parquet."""

from __future__ import annotations

import csv
import subprocess
from pathlib import Path

import pytest
from limpet.ingest.intake import Reading
from limpet.ingest.places import opened, place
from limpet.ingest.store import Batch
from support.tool import LIMPET, limpet

T0 = 1_790_000_000
HEAD = ["device", "time", "ts", "boot", "seq", "humidity", "temperature"]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Make a store of two devices, some thousand Readings, one of them without a time."""
    path = tmp_path / "store" / "limpet.db"
    made = opened(place(str(path), None))
    first = [Reading("node-1", 1, i, T0 + i, None, {"temperature": i / 4}) for i in range(5000)]
    values: dict[str, float | None] = {"humidity": 50.5, "temperature": None}
    second = [Reading("node-2", 1, i, T0 + i * 10, None, values) for i in range(10)]
    undated = Reading("node-2", 2, 0, None, 7, values)
    made.write(Batch(T0, [*first, *second, undated]))
    made.close()
    return path


def test_csv(store: Path, tmp_path: Path) -> None:
    """All of it, device by device, by time; what has no time is left out and told."""
    done = limpet("export", "csv", "--store", store)
    assert done.returncode == 0
    assert done.stderr == "limpet: left out, without a time: 1 Reading\n"
    head, *rows = csv.reader(done.stdout.splitlines())
    assert head == HEAD
    assert len(rows) == 5010
    assert rows[1] == ["node-1", "2026-09-21T14:13:21Z", str(T0 + 1), "1", "1", "", "0.25"]
    assert rows[-1][:3] == ["node-2", "2026-09-21T14:14:50Z", str(T0 + 90)]
    assert rows[-1][5:] == ["50.5", ""]
    out = tmp_path / "out.csv"
    said = limpet("export", "csv", "--store", store, "--out", out)
    assert said.stdout == f"5,010 Readings of 2 devices: {out}\n"
    assert out.read_text() == done.stdout
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_part(store: Path) -> None:
    """Of one device, between two times: the first is in, the second is not."""
    window = ("--from", "2026-09-21T14:13:30", "--to", str(T0 + 30))
    done = limpet("export", "csv", "--store", store, "--device", "node-2", *window)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [int(row["ts"]) - T0 for row in rows] == [10, 20]


def test_parquet(store: Path, tmp_path: Path) -> None:
    """The same rows, with types."""
    duckdb = pytest.importorskip("duckdb")
    out = tmp_path / "it's.parquet"
    done = limpet("export", "parquet", "--store", store, "--out", out)
    assert done.returncode == 0, done.stderr
    found = duckdb.read_parquet(str(out))
    assert found.columns == HEAD
    assert [str(kind) for kind in found.types[:2]] == ["VARCHAR", "TIMESTAMP"]
    rows = found.fetchall()
    assert len(rows) == 5010
    assert rows[1][2:] == (T0 + 1, 1, 1, None, 0.25)
    assert rows[-1][5:] == (50.5, None)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (["parquet"], "cannot be written to a pipe"),
        (["csv", "--device", "node-9"], "nothing of 'node-9'"),
        (["csv", "--from", "yesterday"], "'yesterday' is no time"),
        (["csv", "--from", "5", "--to", "5"], "not before"),
        (["csv", "--out", "/nowhere/x.csv"], "a folder that is not there"),
    ],
)
def test_what_cannot_be(store: Path, words: list[str], cause: str) -> None:
    """Each with its cause."""
    done = limpet("export", *words, "--store", store)
    assert done.returncode == 1
    assert cause in done.stderr
    assert done.stdout == ""


def test_no_store(tmp_path: Path) -> None:
    """None is made by looking for it."""
    done = limpet("export", "csv", "--store", tmp_path / "x.db")
    assert "There is no store" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe(store: Path) -> None:
    """Who has seen enough may go."""
    line = f"'{LIMPET}' export csv --store '{store}' | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("device,")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
