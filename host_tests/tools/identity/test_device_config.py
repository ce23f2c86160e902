"""A device's folder: its two files, and the one config.json that an earlier Limpet made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import device_config
from limpet.identity.device_folder import checked
from limpet.identity.provisioning import Setup
from limpet.shared.firmware import errors
from support.brokers.running import fields

MORE = {"interval_s": 77, "window": 3}


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    """A set-up of its own, whose device node-1 has a folder as an earlier Limpet made it."""
    made = open_setup(tmp_path / "dev")
    made.device(fields("node-1"))
    folder = made.layout.device("node-1")
    for name in ("identity.json", "settings.json"):
        (folder / name).unlink()
    (folder / "config.json").write_text(json.dumps(fields("node-1") | MORE))
    return made


def test_folder_of_before_is_a_device(setup: Setup) -> None:
    """It is read like one of today, by every tool that looks at it, and nothing in it changes."""
    folder = setup.layout.device("node-1")
    before = {path.name for path in folder.iterdir()}
    assert device_config.there(folder)
    assert device_config.read(folder) == fields("node-1") | MORE
    assert setup.config("node-1").interval_s == 77
    found = checked(folder, "node-1")
    assert found.config.window == 3
    assert {"identity.json", "identity.bak"} <= set(found.files)
    assert {path.name for path in folder.iterdir()} == before


@pytest.mark.parametrize("changes", [{}, {"zone": "attic"}, {"health_s": 60}])
def test_next_provisioning_splits_it(setup: Setup, changes: dict[str, object]) -> None:
    """Whether it changes anything or not; the key and all that was said stay."""
    folder = setup.layout.device("node-1")
    key = (folder / "key.der").read_bytes()
    assert setup.change("node-1", changes) == list(changes)
    assert not (folder / "config.json").exists()
    assert device_config.read(folder) == fields("node-1") | MORE | changes
    assert json.loads((folder / "settings.json").read_text())["version"] == 1
    assert (folder / "key.der").read_bytes() == key


def test_other_settings_count_on_and_the_identity_does_not(setup: Setup) -> None:
    """The version of the settings tells two of them apart; a copy of the identity that a node has
    made for itself goes, as it would be taken for the better one.
    """
    folder = setup.layout.device("node-1")
    device_config.renewed(folder)
    (folder / "identity.bak").write_bytes(b"{}")
    for changes, version in (({"zone": "attic"}, 1), ({"window": 4}, 2), ({"window": 4}, 2)):
        setup.change("node-1", changes)
        assert device_config.version(folder) == version
    assert not (folder / "identity.bak").exists()


@pytest.mark.parametrize("text", ["{", "[1]", '{"zone": "a", "zone": "b"}', '{"colour": 1}'])
def test_config_of_before_that_a_node_would_refuse(setup: Setup, text: str) -> None:
    """It is refused as strictly as it was."""
    (setup.layout.device("node-1") / "config.json").write_text(text)
    with pytest.raises(errors.ConfigError):
        setup.config("node-1")
