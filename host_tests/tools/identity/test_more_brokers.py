"""Several brokers for one device: as they are said to `init` and `provision`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from limpet.fleet.init import init
from limpet.fleet.provision import provision
from limpet.identity import authority, device_config
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem
from support.fleets import fleet


def test_several_brokers(tmp_path: Path) -> None:
    """--broker again and again: in this order in the device's settings, and all of them in the
    broker's certificate. Said once, it is the only one; not said, all stay.
    """
    root = fleet(tmp_path / "dev")
    provision("node-1", fleet=root, broker=["one.example", "two.example:8884", "[fd00::3]:8883"])
    layout = Layout(root)
    folder = layout.device("node-1")
    there = device_config.load(folder)
    assert (there.broker, there.more_brokers) == (
        "one.example",
        ["two.example:8884", "[fd00::3]:8883"],
    )
    assert device_config.brokers(there) == [
        ("one.example", 8883),
        ("two.example", 8884),
        ("fd00::3", 8883),
    ]
    names = authority.names(authority.load_certificate(layout.server_certificate))
    assert {"one.example", "two.example", "fd00::3"} <= set(names)
    assert "more_brokers" not in json.loads((folder / "identity.json").read_text())
    provision("node-1", fleet=root, zone="shed")
    assert device_config.load(folder).more_brokers == there.more_brokers
    provision("node-1", fleet=root, broker=["one.example"])
    assert device_config.load(folder).more_brokers is None
    assert "more_brokers" not in device_config.read(folder)


@pytest.mark.parametrize(
    ("brokers", "why"),
    [
        (["a", "a"], "more_brokers: must not name one twice, nor the first one"),
        (["a", "A:8883"], "more_brokers: must not name one twice, nor the first one"),
        (["a", "b", "b:8883"], "more_brokers: must not name one twice, nor the first one"),
        (["a", "b", "c", "d", "e"], "more_brokers: must have 1 to 3 entries"),
        (["a", "b:99999"], "more_brokers: each port must be 1 to 65535"),
        (["a", ""], "more_brokers: each must have 1 to 253 characters"),
        (["a:8883", "b"], "broker: must not contain the port"),
        (["a", "0.0.0.0"], "more_brokers: must be one address"),
        (["a", "x" * 64], "more_brokers: must have at most 63 characters"),
        ([""], "broker: must have 1 to 253 characters"),
    ],
)
def test_wrong_brokers_are_refused(tmp_path: Path, brokers: list[str], why: str) -> None:
    """By field and rule, and nothing is made; neither by `init`."""
    root = fleet(tmp_path / "dev")
    with pytest.raises(Problem, match=re.escape(why)):
        provision("node-2", fleet=root, broker=brokers)
    assert [path.name for path in root.iterdir()] == ["limpet.toml"]
    rule = why.partition(": ")[2]
    with pytest.raises(Problem, match=re.escape(rule)):
        init(tmp_path / "other", broker=brokers)
    assert not (tmp_path / "other").exists()
