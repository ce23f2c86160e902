"""limpet.toml: what it may say, and how a mistake in it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from limpet.identity import fleet_settings
from limpet.identity.device_config import FIELDS, check
from limpet.identity.fleet_settings import PLACE, Settings
from limpet.shared.firmware import config
from limpet.shared.problem import Problem


def said(root: Path, text: str | bytes) -> Settings:
    """Read a file that says `text`."""
    data = text if isinstance(text, bytes) else text.encode()
    (root / "limpet.toml").write_bytes(data)
    return fleet_settings.read(root)


ALL = Settings(
    organisation="farm",
    address="192.168.1.7",
    port=8884,
    more=("192.168.1.8", "[fd00::8]:8883"),
    names=("broker.farm.example", "fd00::7"),
    device={"site": "north", "interval_s": 60, "ntp_servers": ["192.168.1.1"], "retain": False},
)


@pytest.mark.parametrize("settings", [Settings(), ALL])
def test_what_is_written_is_read(tmp_path: Path, settings: Settings) -> None:
    """The file that init writes says the same when it is read, and has the place to change."""
    found = said(tmp_path, fleet_settings.text(settings))
    assert found.fields() == settings.fields()
    assert found.server_names() == settings.server_names()
    assert set(PLACE) <= set(found.device)


def test_every_line_that_is_commented_out_may_be_said(tmp_path: Path) -> None:
    """What the file offers as examples is right as it stands there."""
    lines = fleet_settings.text(Settings()).splitlines()
    examples = [line[1:] for line in lines if line.startswith("#") and not line.startswith("# ")]
    assert len(examples) >= 2
    shown = "\n".join(line[1:] if line[1:] in examples else line for line in lines)
    assert said(tmp_path, shown).device["interval_s"] == 10


def test_further_brokers(tmp_path: Path) -> None:
    """They are what a device's config begins with, and the broker's certificate is for them too."""
    assert ALL.fields()["more_brokers"] == ["192.168.1.8", "[fd00::8]:8883"]
    names = ["192.168.1.7", "192.168.1.8", "fd00::8", "broker.farm.example", "fd00::7"]
    assert ALL.server_names() == names
    assert "more_brokers" not in said(tmp_path, "[broker]\nmore = []").fields()


def test_empty_file_is_all_defaults(tmp_path: Path) -> None:
    """Nothing has to be said. A mark of order and CR LF, as some editors write them, are none."""
    assert said(tmp_path, "") == Settings()
    assert said(tmp_path, b"\xef\xbb\xbforganisation = 'farm'\r\n").organisation == "farm"
    assert check({"device_id": "node-1"} | Settings().fields()).org == "limpet"


def test_every_field_is_a_default_or_a_devices_own(tmp_path: Path) -> None:
    """A field that is new in the config can be said here, or is known to be no default."""
    own = {*fleet_settings.OWN, "org", "broker", "port"}
    keys = [key for key in config.IDENTITY + config.SETTINGS if key[0] in FIELDS]
    assert len(keys) == len(FIELDS)
    for name, default, _ in keys:
        if name in own or default is None:
            continue
        value = '"x"' if default == () else fleet_settings._toml(default)
        assert name in said(tmp_path, f"[device]\n{name} = {value}\n").device


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        ("organization = 'x'", 1, "organization: unknown key."),
        (r'"\u001b[31m" = 1', 0, r"'\x1b[31m': unknown key."),
        ("\n[brokers]\naddress = 'x'", 2, "brokers: unknown key."),
        ("[broker]\nadress = 'x'", 2, "adress: unknown key."),
        ("[device]\nsite='a'\ninterval = 5", 3, "interval: unknown key."),
        ("organisation = 5", 1, "organisation: must be a string."),
        ("organisation = 'Farm'", 1, "organisation: no upper case"),
        ("broker = 'x'", 1, "broker: must be a table: [broker]."),
        ("[[broker]]", 1, "broker: must be a table: [broker]."),
        ("[broker]\naddress = ['x']", 2, "address: must be a string."),
        ("[broker]\n# where\naddress = 'x:1'", 3, "address: must not contain the port."),
        ("[broker]\nport = '8883'", 2, "port: must be a whole number."),
        ("[broker]\nport = 1883\naddress = 'a.example'", 2, "port: 1883 is not encrypted"),
        ("[broker]\nport = 0", 2, "port: must be 1 to 65535."),
        ("[broker]\nmore = 'x'", 2, "more: must be a list."),
        ("[broker]\nmore = ['a', 'b', 'c', 'd']", 2, "more: must have 1 to 3 entries."),
        ("[broker]\nmore = ['a', 7]", 2, "more: each must be a string."),
        ("[broker]\nmore = ['a:65536']", 2, "more: each port must be 1 to 65535."),
        ("[broker]\nmore = ['a', 'A']", 2, "more: must not name one twice."),
        ("[broker]\naddress = 'a'\nmore = ['b', 'a:8883']", 3, "more: must not name one twice"),
        ("[broker]\nmore = ['::']", 2, "more: must be one address"),
        ("[broker]\nmore = ['a:1883']", 2, "more: 1883 is not encrypted"),
        ("[device]\nmore_brokers = ['a']", 2, "more_brokers: unknown key."),
        ("[broker]\nnames = 'x'", 2, "names: must be a list."),
        ("[broker]\nnames = ['a.example', 7]", 2, "names: each must be a string."),
        ("[broker]\naddress = 'test.mosquitto.org'", 2, "address: is a public broker"),
        ("[broker]\naddress = '0.0.0.0'", 2, "address: must be one address"),
        ("[device]\ninterval_s = 1.5", 2, "interval_s: must be a whole number."),
        ("[device]\ninterval_s = 1979-05-27", 2, "interval_s: must be a whole number."),
        ("[device]\n\"retain\" = 'no'", 2, "retain: must be true or false."),
        ("[device]\npassword = 'secret'", 2, "password: is each device's own"),
        ("[device]\nwifi_password = 'secret12'", 2, "wifi_password: is each device's own"),
        ("[device]\ndevice_id = 'node-1'", 2, "device_id: is each device's own"),
        ("device.interval_s = 1", 1, "interval_s: must be 2 to 86400."),
        ("device = { interval_s = 1 }", None, "interval_s: must be 2 to 86400."),
    ],
)
def test_fault_has_a_name_and_a_line(
    tmp_path: Path, text: str, line: int | None, fault: str
) -> None:
    """Key and rule, with the line where it is said; and no value, which may be a secret."""
    with pytest.raises(Problem) as refused:
        said(tmp_path, text)
    at = f", line {line}" if line else ""
    assert refused.value.cause.startswith(f"{tmp_path / 'limpet.toml'}{at}: {fault}")
    assert "secret" not in refused.value.cause


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"x = " + b"[" * 5000 + b"]" * 5000, "is no TOML: nested too deep."),
        (b"organisation = " + b"9" * 5000, "is no TOML: Exceeds the limit"),
        (b"organisation = farm", "is no TOML: Invalid value (at line 1, column 16)."),
        (b"a = 1\na = 2\n", "is no TOML: "),
        (b"organisation = 'caf\xe9'", "is not UTF-8."),
    ],
)
def test_file_that_is_no_toml(tmp_path: Path, data: bytes, cause: str) -> None:
    """The parser's own words, which name the line."""
    with pytest.raises(Problem) as refused:
        said(tmp_path, data)
    assert refused.value.cause.startswith(f"{tmp_path / 'limpet.toml'} {cause}")


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    """As every file: its name and the cause, by whoever asks."""
    (tmp_path / "limpet.toml").mkdir()
    with pytest.raises(OSError, match=r"limpet\.toml"):
        fleet_settings.read(tmp_path)
