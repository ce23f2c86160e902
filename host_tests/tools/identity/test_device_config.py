"""A device's folder: its two files, and the one config.json that an earlier Limpet made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.identity import device_config
from limpet.identity.device_folder import checked
from limpet.identity.provisioning import Setup
from limpet.operating.where import SetupInfo
from limpet.shared import private
from limpet.shared.firmware import errors, settings
from limpet.shared.problem import Problem
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


@pytest.mark.parametrize("name", ["identity.json", "settings.json"])
@pytest.mark.parametrize("text", [None, "{", '{"v": 2}', '{"v": 1, "colour": 1}'])
def test_file_at_fault_is_named(setup: Setup, name: str, text: str | None) -> None:
    """Of the two the one that is missing, damaged, or refused, by each tool that reads them."""
    folder = setup.layout.device("node-1")
    device_config.renewed(folder)
    path = folder / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    other = "settings.json" if name == "identity.json" else "identity.json"
    with pytest.raises(Problem) as refused:
        checked(folder, "node-1")
    with pytest.raises(Problem) as sought:
        SetupInfo(setup.layout.root, "node-1")
    for caught in (refused, sought):
        assert str(path) in caught.value.cause
        assert other not in caught.value.cause.replace(f"belongs into {other}", "")
    if text is None:
        with pytest.raises(errors.ConfigError) as unread:
            setup.config("node-1")
        assert unread.value.field == str(path)


@pytest.mark.parametrize("name", ["identity.json", "settings.json"])
def test_format_of_a_later_version_is_not_overwritten(setup: Setup, name: str) -> None:
    """Provisioning refuses to change a file that it can read by its letters only."""
    folder = setup.layout.device("node-1")
    device_config.renewed(folder)
    path = folder / name
    path.write_text(path.read_text().replace('"v": 1', '"v": 2'))
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    with pytest.raises(Problem, match=f"{name}: v must be 1") as caught:
        setup.change("node-1", {"zone": "attic"})
    assert "later Limpet" in caught.value.remedy
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before


def test_folder_of_another_device_is_not_changed(setup: Setup) -> None:
    """Nor does the device that it names get another place in the registry."""
    setup.device(fields("node-2"))
    folder = setup.layout.device("node-1")
    bases = setup.layout.bases()
    for device_id in ("node-2", None, ["node-1"]):
        text = json.dumps(fields("node-1") | MORE | {"device_id": device_id})
        (folder / "config.json").write_text(text)
        with pytest.raises(Problem, match=r"config\.json is not that of node-1"):
            setup.change("node-1", {"zone": "attic"})
        assert (folder / "config.json").read_text() == text
    assert setup.layout.bases() == bases


@pytest.mark.parametrize("text", ["[" * 100_000, '{"zone": "\\ud800"}', '{"\\udfff": 1}'])
def test_what_cannot_be_written_again_is_no_object(text: str) -> None:
    """Nesting without end, and half a character: what a board sends may be anything."""
    assert device_config.opened(text.encode()) is None


@pytest.mark.parametrize("cut", range(1, 5))
def test_cut_leaves_the_identity_that_is_read_here(
    setup: Setup, cut: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node that runs in the folder next takes the same one for its own, and brings back none
    that was replaced: also where it had made a second copy for itself.
    """
    folder = setup.layout.device("node-1")
    for name, data in device_config.on_flash(fields("node-1") | MORE, slot="").items():
        (folder / name).write_bytes(data)
    steps = 0

    def cutting(do: Callable[..., None]) -> Callable[..., None]:
        def step(*arguments: object, **more: object) -> None:
            nonlocal steps
            do(*arguments, **more)
            steps += 1
            if steps == cut:
                raise KeyboardInterrupt

        return step

    monkeypatch.setattr(private, "write", cutting(private.write))
    monkeypatch.setattr(Path, "unlink", cutting(Path.unlink))
    with pytest.raises(KeyboardInterrupt):
        device_config.write(folder, fields("node-1") | {"zone": "attic"})
    monkeypatch.undo()
    here = device_config.load(folder).zone

    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.exists() else None

    def replace(name: str, data: bytes) -> None:
        (folder / name).write_bytes(data)

    text = settings.mended(read, replace, lambda *_: None)
    assert json.loads(text)["zone"] == here == device_config.load(folder).zone
