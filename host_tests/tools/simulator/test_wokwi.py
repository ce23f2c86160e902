"""`limpet wokwi`: the device it makes, the image that Wokwi is given, and what it refuses.

Wokwi itself is not here: what it reads is.
"""

from __future__ import annotations

import json
import shutil
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.boards import archive, board_facts, image
from limpet.boards.board_facts import BoardFacts
from limpet.boards.node_files import LISTING, code_files
from limpet.identity import device_config, device_folder
from limpet.identity.authority import covers, load_certificate
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem
from limpet.simulator import wokwi
from limpet.simulator.diagram_sensors import simulated
from littlefs import LittleFS
from support.flashing import micropython_images
from support.fleets import fleet
from support.micropython.upy import REPO

Wokwi = Callable[..., Layout]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of boards/, with a build folder beside it instead of the repository's own."""
    shutil.copytree(REPO / "boards", tmp_path / "boards", ignore=lambda *_: {"captures"})
    images = tmp_path / "build/wokwi"
    monkeypatch.setattr(wokwi, "REPO", tmp_path)
    monkeypatch.setattr(board_facts, "BOARDS", tmp_path / "boards")
    monkeypatch.setattr(wokwi, "IMAGES", images)
    return tmp_path


@pytest.fixture
def simulate(place: Path, monkeypatch: pytest.MonkeyPatch) -> Wokwi:
    """`limpet wokwi` without the image, whose making takes its time: a folder with a name in it."""

    def make(
        board: BoardFacts, *, device: str, firmware: Path | None, fleet: Path, out: Path
    ) -> None:
        folder = out / board.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / image.MICROPYTHON).write_text(device)

    monkeypatch.setattr(wokwi, "image_of", make)

    def run(board: str = "esp32_devkit", **how: Any) -> Layout:
        wokwi.wokwi(board, fleet=fleet(place / "dev"), **how)
        return Layout(place / "dev")

    return run


def config(layout: Layout, device: str = "wokwi-esp32") -> dict[str, Any]:
    """The config of a device."""
    return device_config.read(layout.device(device))


@pytest.mark.parametrize("board", ["esp32_devkit", "esp32s3_devkitc", "esp32c3_devkitm"])
def test_image_is_where_wokwi_looks_for_it(
    place: Path, board: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From wokwi.toml, as Wokwi goes about it, to a MicroPython at the chip's offset and a file
    system with the device's config; all of it the owner's alone.
    """
    # Measured for `make image`; here it takes longer than all else.
    monkeypatch.setattr(image.heap, "joined", lambda: ({}, 0))
    facts = board_facts.facts(board)
    firmware = place / "some.bin"
    firmware.write_bytes(micropython_images.image(facts, header_mb=facts.flash_mb))
    wokwi.wokwi(board, fleet=fleet(place / "dev"), firmware=firmware)

    folder = place / "boards" / board
    settings = tomllib.loads((folder / "wokwi.toml").read_text())["wokwi"]
    listing = folder / settings["firmware"]
    assert listing.name == "flasher_args.json"  # or Wokwi takes it for an image
    args = json.loads(listing.read_text())
    assert args["flash_settings"]["flash_size"] == f"{facts.flash_mb}MB"
    parts = {
        int(offset, 16): (listing.parent / name) for offset, name in args["flash_files"].items()
    }
    assert set(parts) == {facts.image_offset, facts.files_offset}
    assert parts[facts.image_offset].read_bytes() == firmware.read_bytes()
    assert parts[facts.files_offset].stat().st_size == facts.files_blocks * 4096
    files = LittleFS(mount=False, block_count=facts.files_blocks, block_size=4096)
    files.context.buffer = bytearray(parts[facts.files_offset].read_bytes())
    files.mount()
    with files.open("/identity.json", "rb") as file:
        said = json.loads(file.read())
    second = simulated(json.loads((folder / "diagram.json").read_text()), facts)[-1]
    with files.open(f"/a/{archive.NAME}", "rb") as file:
        code = file.read()
    # The second sensor is in the Board of this image and in no other, with what drives it.
    assert second.line[2] == "outdoor"
    assert b"outdoor" in code
    assert b"outdoor" not in code_files(facts)["board.mpy"]
    with files.open(f"/a/{LISTING}", "rb") as file:
        assert {"dht22.mpy", "ds18b20.mpy"} <= set(json.loads(file.read())["files"])
    assert "ds18b20.mpy" not in code_files(facts)
    name = f"wokwi-{facts.chip}"
    assert (said["device_id"], said["wifi_ssid"]) == (name, "Wokwi-GUEST")
    for path in parts.values():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    text = capsys.readouterr().out
    assert f"wokwi-cli boards/{board} --scenario ../reading.test.yaml" in text
    assert (folder / "../reading.test.yaml").is_file()
    assert f"rfc2217://localhost:{settings['rfc2217ServerPort']}" in text
    assert "sends the image to Wokwi, and with it this device's key" in text


@pytest.mark.parametrize("whose", ["installed", "the fleet's"])
def test_board_that_lies_elsewhere_is_simulated_beside_its_image(
    simulate: Wokwi,
    place: Path,
    whose: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """An installed limpet's Boards and a fleet's are left alone; what Wokwi reads is copied."""
    images = place / "data/wokwi"
    monkeypatch.setattr(wokwi, "IMAGES", images)
    monkeypatch.setattr(wokwi, "REPO", place / "clone")
    board = "esp32_devkit"
    if whose == "the fleet's":
        (place / "dev/boards").mkdir(parents=True)
        board = "our_board"
        own = place / "dev/boards" / board
        shutil.copytree(place / "boards/esp32_devkit", own)
        text = (own / "wokwi.toml").read_text().replace("esp32_devkit", board)
        (own / "wokwi.toml").write_text(text)
        text = (own / "board.py").read_text().replace('NAME = "esp32_devkit"', f'NAME = "{board}"')
        (own / "board.py").write_text(text)
    simulate(board)
    said = tomllib.loads((images / board / "wokwi.toml").read_text())["wokwi"]
    assert said["firmware"] == "flasher_args.json"
    assert said["rfc2217ServerPort"] == 4000
    diagram = (place / "boards/esp32_devkit/diagram.json").read_bytes()
    assert (images / board / "diagram.json").read_bytes() == diagram
    text = capsys.readouterr().out
    assert f"wokwi-cli {images / board} --scenario ../reading.test.yaml" in text
    assert (images / "reading.test.yaml").is_file()


def test_device_is_in_wokwis_network_and_finds_its_broker(simulate: Wokwi) -> None:
    """The config has Wokwi's open network and the broker, whose certificate has that name."""
    layout = simulate(broker="broker.example", port=8884)
    said = config(layout)
    assert said["wifi_ssid"] == "Wokwi-GUEST"
    assert "wifi_password" not in said
    assert (said["broker"], said["port"]) == ("broker.example", 8884)
    assert covers(load_certificate(layout.server_certificate), ["broker.example", "localhost"])
    assert layout.bases()["wokwi-esp32"] == "limpet/wokwi/simulator/climate/wokwi-esp32"
    assert device_folder.checked(layout.device("wokwi-esp32")).device_id == "wokwi-esp32"


def test_second_time_changes_the_broker_and_keeps_the_key(simulate: Wokwi) -> None:
    """What else was put into the config stays, and so does the device's identity."""
    layout = simulate(broker="test.mosquitto.org", allow_public_broker=True)
    folder = layout.device("wokwi-esp32")
    device_config.write(folder, config(layout) | {"interval_s": 5})
    key = (folder / "key.der").read_bytes()
    simulate(broker="broker.example", port=8884)
    said = config(layout)
    assert (said["broker"], said["port"], said["interval_s"]) == ("broker.example", 8884, 5)
    assert "allow_public_broker" not in said
    assert (folder / "key.der").read_bytes() == key
    for name in ("identity.json", "settings.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_without_a_broker_it_is_this_machine(
    simulate: Wokwi, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the name that the private gateway has for it; that only this one reaches it is said."""
    said = config(simulate())
    assert (said["broker"], said["port"]) == ("host.wokwi.internal", 8883)
    note = "can be reached through Wokwi's private gateway alone"
    assert f"host.wokwi.internal {note}" in capsys.readouterr().out
    simulate(broker="192.168.1.20")
    assert f"192.168.1.20 {note}" in capsys.readouterr().out
    simulate(broker="broker.example")
    assert note not in capsys.readouterr().out


def test_broker_that_runs_is_to_be_started_again(
    simulate: Wokwi, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broker has its certificate from when it started: a name that is new to it needs another."""
    simulate(broker="broker.example")
    assert "new certificate for broker.example; one that runs: start" in capsys.readouterr().out
    simulate(broker="broker.example")
    assert "new certificate" not in capsys.readouterr().out


def test_another_device_can_be_simulated(simulate: Wokwi) -> None:
    """--device takes a name, and the image is made of that device's folder."""
    layout = simulate(device="node-7")
    assert config(layout, "node-7")["wifi_ssid"] == "Wokwi-GUEST"
    made = wokwi.IMAGES / "esp32_devkit" / image.MICROPYTHON
    assert made.read_text() == str(layout.device("node-7"))


@pytest.mark.parametrize(
    "differs", [{"wifi_ssid": "home", "wifi_password": "not a secret"}, {"wifi_ssid": None}]
)
def test_device_of_another_network_is_left_alone(simulate: Wokwi, differs: dict[str, Any]) -> None:
    """A device that was made for a Board is not sent to Wokwi by accident."""
    layout = simulate(device="node-7")
    path = layout.device("node-7") / "identity.json"
    device_config.write(path.parent, config(layout, "node-7") | differs)
    before = path.read_bytes()
    with pytest.raises(Problem, match="node-7 was made for another network than Wokwi-GUEST"):
        simulate(device="node-7", broker="broker.example")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ({"broker": "127.0.0.1"}, "In the simulator 127.0.0.1 is the simulated board itself."),
        ({"broker": "localhost"}, "In the simulator localhost is the simulated board itself."),
        ({"broker": "test.mosquitto.org"}, "broker: is a public broker"),
        ({"broker": "broker.example", "port": 1883}, "port: 1883 is not encrypted"),
        ({"broker": "broker.example:8883"}, "broker: must not contain the port."),
        ({"device": "Node 7"}, "device_id: "),
        ({"board": "esp8266"}, "There is no board esp8266."),
    ],
)
def test_refused_before_anything_is_made(
    simulate: Wokwi, place: Path, how: dict[str, Any], cause: str
) -> None:
    """A public broker without leave, one that the simulator cannot mean, and what is no name."""
    with pytest.raises(Problem) as raised:
        simulate(**how)
    assert raised.value.cause.startswith(cause)
    assert [path.name for path in (place / "dev").iterdir()] == ["limpet.toml"]


@pytest.mark.parametrize(
    ("name", "text", "cause"),
    [
        ("diagram.json", None, "esp32_devkit cannot be simulated: "),
        ("diagram.json", "{", "esp32_devkit cannot be simulated: "),
        ("wokwi.toml", None, "esp32_devkit cannot be simulated: "),
        ("wokwi.toml", "[wokwi", "esp32_devkit cannot be simulated: "),
        ("diagram.json", '{"version": 2}', "The diagram is no JSON object of version 1."),
        ("wokwi.toml", "[wokwi]\n", "wokwi.toml: version is not 1."),
    ],
)
def test_board_with_a_fault_is_refused(
    simulate: Wokwi, place: Path, name: str, text: str | None, cause: str
) -> None:
    """What the linter finds, whoever adds a Board is told by this command too."""
    path = place / "boards/esp32_devkit" / name
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(Problem) as raised:
        simulate()
    assert raised.value.cause.startswith(cause)
    assert [path.name for path in (place / "dev").iterdir()] == ["limpet.toml"]


def test_image_without_micropython_is_no_use(
    place: Path, simulate: Wokwi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wokwi starts what is at the chip's offset and nothing else: that is said, and the remedy."""
    monkeypatch.setattr(wokwi, "image_of", lambda *_, **__: None)
    with pytest.raises(Problem) as raised:
        simulate()
    assert raised.value.cause == "Wokwi has no MicroPython of its own, and the image has none."
    assert "--firmware " in raised.value.remedy
