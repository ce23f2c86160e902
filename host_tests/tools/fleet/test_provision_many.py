"""`limpet provision` for many: by a file, by a pattern, with what is wrong, and after a cut."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.brokers.setup import open_setup
from limpet.fleet import device_list
from limpet.fleet.provision import provision
from limpet.identity import batch, device_config, passwords
from limpet.identity.device_folder import checked
from limpet.identity.layout import Layout
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import limpet

Write = Callable[[str | bytes], Path]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a fleet without devices."""
    return fleet(tmp_path / "fleet")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return what makes a list of devices."""

    def listed(text: str | bytes) -> Path:
        path = tmp_path / "devices.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return listed


def test_a_pattern_in_several_processes(root: Path) -> None:
    """All are there, whole and for their owner alone; a second time nothing changes."""
    words = ("provision", "--pattern", "plant-{n:03}", "--count", "110", "--fleet", root)
    done = limpet(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("devices: 110 made, 0 changed, 0 there already, in ")
    layout = Layout(root)
    assert list(layout.bases()) == [f"plant-{n:03}" for n in range(1, 111)]
    for name in ("plant-001", "plant-110"):
        found = checked(layout.device(name), name)
        assert f"{layout.registered().devices[name].certificates}".count(":") > 0
        assert found.config.device_id == name
        assert {path.stat().st_mode & 0o777 for path in found.folder.iterdir()} == {0o600}
    assert not [path for path in layout.devices.iterdir() if path.name.startswith(".")]
    before = layout.registry.read_bytes()
    again = limpet(*words)
    assert again.stdout.startswith("devices: 0 made, 0 changed, 110 there already")
    assert layout.registry.read_bytes() == before


def test_a_file(root: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """A cell that is empty is as the fleet has it; a spreadsheet's mark and line ends do no harm.
    Another file changes what it says otherwise, and adds what is new.
    """
    layout = Layout(root)
    text = "device_id,zone,interval_s,clean_session,ntp_servers\r\n"
    text += 'a,"green, house",,,\r\n\r\nb,shed,60,true,192.0.2.1 192.0.2.2\r\n'
    with pytest.raises(Problem, match="line 2: zone:"):
        provision(csv=write(text), fleet=root)
    text = text.replace("green, house", "hall")
    provision(csv=write(b"\xef\xbb\xbf" + text.encode()), fleet=root)
    assert layout.bases()["a"] == "limpet/home/hall/climate/a"
    found = device_config.load(layout.device("b"))
    assert (found.interval_s, found.clean_session) == (60, True)
    assert found.ntp_servers == ["192.0.2.1", "192.0.2.2"]
    assert device_config.load(layout.device("a")).interval_s == 10
    capsys.readouterr()
    provision(csv=write("zone,device_id\nhall,a\nloft,b\nloft,c"), fleet=root, site="north")
    assert capsys.readouterr().out.startswith("devices: 1 made, 2 changed, 0 there already")
    assert layout.bases()["b"] == "limpet/north/loft/climate/b"
    assert device_config.load(layout.device("b")).interval_s == 60


BAD: list[tuple[str | bytes, str]] = [
    ("", "is empty"),
    ("device_id\n", "names no device"),
    ("\n\n", "is empty"),
    ("device_id;zone\na;b\n", "line 1: its columns are divided by semicolons"),
    ("device_id\tzone\na\tb\n", "line 1: its columns are divided by tabs"),
    ("device_id,colour\na,blue\n", "line 1: 'colour' is no column"),
    ("device_id,key\na,key.der\n", "line 1: 'key' is no column"),
    ("device_id,zone,zone\na,b,c\n", "line 1: the column zone is there twice"),
    ("zone\nhall\n", "line 1: no column device_id"),
    ("device_id,zone\na,b\nc\n", "line 3: it has 1 columns, and the header 2"),
    ("device_id,zone\na,b,c\n", "line 2: it has 3 columns, and the header 2"),
    ("device_id,zone\na;b\n", "line 2: it has 1 columns"),
    ("device_id\na\nb\n\na\n", "line 5: a is on line 2 already"),
    ('device_id,zone\n"a,b\n', "line 2: unexpected end of data"),
    ("device_id,zone\n,b\n", "line 2: device_id: is required"),
    ("device_id\na/b\n", "line 2: device_id:"),
    ("device_id\n../ca\n", "line 2: device_id:"),
    ("device_id\noperator-2\n", "line 2: device_id: is a reserved name"),
    ("device_id\nadmin\n", "line 2: device_id: is a reserved name"),
    ("device_id,port\na,0\n", "line 2: port: must be 1 to 65535"),
    ("device_id,port\na,8883.0\n", "line 2: port: must be a whole number"),
    ("device_id,clean_session\na,yes\n", "line 2: clean_session: must be true or false"),
    ("device_id,port\na,1883\nb,1\n", "line 2: port: 1883 is not encrypted"),
    ("device_id,wifi_password\na,12345678\n", "line 2: wifi_password: needs wifi_ssid"),
    ("device_id,username\na,b\n", "line 2: username: must be the same as device_id"),
    (b"device_id\na\nb\xff\n", "line 3: it is not UTF-8"),
    (b"device_id\na\0\n", "line 2: there is a zero byte"),
    ("device_id\na\n".encode("utf-16"), "is UTF-16"),
]


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_is_wrong_is_named_with_its_line(
    root: Path, write: Write, text: str | bytes, why: str
) -> None:
    """And nothing is made, not of the lines before it either. No secret is repeated."""
    broker = ["192.0.2.7"] if "1883" in why else None
    with pytest.raises(Problem, match=re.escape(why)) as refusal:
        provision(csv=write(text), fleet=root, broker=broker)
    assert "12345678" not in refusal.value.cause
    assert not Layout(root).devices.exists() or not list(Layout(root).devices.iterdir())


def test_all_faults_are_told_at_once(root: Path, write: Write) -> None:
    """The first ten, and how many more."""
    text = "device_id,port\n" + "".join(f"a{n},x\n" for n in range(25))
    with pytest.raises(Problem) as refusal:
        provision(csv=write(text), fleet=root)
    assert refusal.value.cause.count("must be a whole number") == 10
    assert "and 15 more" in refusal.value.cause


@pytest.mark.parametrize("pattern", ["plant", "{n}-{n}", "{m}", "{n:x}", "{n!r}", "{n.real}", "{"])
def test_what_is_no_pattern(pattern: str) -> None:
    """No number in it, two, or something else in braces."""
    with pytest.raises(Problem, match="is no pattern"):
        device_list.of_pattern(pattern, 2)
    assert [line.where for line in device_list.of_pattern("a-{n:03}-b", 2, 9)] == [
        *("a-009-b", "a-010-b")
    ]


def test_options_that_do_not_go_together(root: Path, write: Write) -> None:
    """Each is told by name."""
    path = write("device_id\na\n")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"csv": path, "device": "b"}, "DEVICE is for one device"),
        ({"csv": path, "line": True}, "--line is for one device"),
        ({"csv": path, "count": 3}, "by --csv FILE, or by --pattern and --count"),
        ({"pattern": "a{n}"}, "by --csv FILE, or by --pattern and --count"),
        ({"count": 3}, "by --csv FILE, or by --pattern and --count"),
        ({"device": "a", "auth": "jwt"}, "--auth jwt: a node cannot make a JWT yet"),
    ]
    for options, why in cases:
        with pytest.raises(Problem, match=why):
            provision(fleet=root, **options)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_what_was_cut_goes_on(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
) -> None:
    """Ctrl-C, or a full disk: what is made is in the registry; the same command does the rest."""
    made = batch._make
    calls = []

    def cut(chunk: list[dict[str, Any]]) -> list[batch.Made]:
        calls.append(chunk)
        if len(calls) == 2:
            raise error
        return made(chunk)

    with monkeypatch.context() as patch:
        patch.setattr(batch, "_make", cut)
        with pytest.raises(type(error)):
            provision(pattern="p{n}", count=60, fleet=root)
    assert "devices: 50 made" in capsys.readouterr().out
    layout = Layout(root)
    assert len(layout.bases()) == len(list(layout.devices.iterdir())) == 50
    provision(pattern="p{n}", count=60, fleet=root)
    assert "devices: 10 made, 0 changed, 50 there already" in capsys.readouterr().out
    assert len(layout.bases()) == 60


def test_what_a_kill_has_left_is_entered(root: Path) -> None:
    """A folder that is whole, and that no registry knows of, with its certificate and password."""
    provision(pattern="p{n}", count=2, fleet=root, auth="password")
    layout = Layout(root)
    before = layout.registered().devices["p2"]
    with layout.edited() as registry:
        del registry.devices["p2"]
    passwords.remove(layout, "p2")
    provision(pattern="p{n}", count=2, fleet=root)
    after = layout.registered().devices["p2"]
    assert (after.base, after.certificates) == (before.base, before.certificates)
    assert after.auth == "password"
    said = device_config.load(layout.device("p2")).password
    assert passwords.right(layout, "p2", said)
    (layout.device("p2") / "cert.der").write_bytes((layout.device("p1") / "cert.der").read_bytes())
    with layout.edited() as registry:
        del registry.devices["p2"]
    with pytest.raises(Problem, match="has no certificate of this fleet's"):
        provision(pattern="p{n}", count=3, fleet=root)
    assert "p3" not in layout.bases()


def test_auth(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """password: one each, which stays; mtls takes it away again. Of one device and of many."""
    layout = Layout(root)
    provision("one", fleet=root, auth="password")
    provision(pattern="p{n}", count=2, fleet=root, auth="password")
    said = {name: device_config.load(layout.device(name)) for name in ("one", "p1", "p2")}
    assert len({each.password for each in said.values()}) == 3
    for name, config in said.items():
        assert config.username == name
        assert passwords.right(layout, name, config.password)
        assert layout.registered().devices[name].auth == "password"
        assert config.password not in capsys.readouterr().out
    provision("one", fleet=root, auth="password")
    provision(pattern="p{n}", count=2, fleet=root, auth="password")
    assert all(device_config.load(layout.device(name)) == said[name] for name in said)
    provision("one", fleet=root, auth="mtls")
    provision(pattern="p{n}", count=2, fleet=root, auth="mtls")
    for name, config in said.items():
        assert device_config.load(layout.device(name)).username is None
        assert not passwords.right(layout, name, config.password)
        assert layout.registered().devices[name].auth == "mtls"


def test_a_revoked_device_stays_revoked(root: Path) -> None:
    """A list that names it is no reason to let it in again."""
    provision(pattern="p{n}", count=2, fleet=root)
    open_setup(root).revoke("p1")
    provision(pattern="p{n}", count=3, fleet=root, zone="hall")
    assert Layout(root).bases().keys() == {"p2", "p3"}


def test_a_registry_that_cannot_be_read_stops_it_first(root: Path) -> None:
    """Of a later version: nothing is made that it would lack."""
    open_setup(root).device(fields("node-1"))
    layout = Layout(root)
    layout.registry.write_text(json.dumps({"v": 3}))
    with pytest.raises(Problem, match="v 3 is that of a later Limpet"):
        provision(pattern="p{n}", count=3, fleet=root)
    assert [path.name for path in layout.devices.iterdir()] == ["node-1"]


def test_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was made, changed and left, of one and of many; what a person reads is elsewhere."""
    provision(pattern="p{n}", count=2, fleet=root, as_json=True)
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (said["made"], said["changed"], said["kept"]) == (["p1", "p2"], [], [])
    assert "devices: 2 made" in err
    provision("p1", fleet=root, zone="loft", as_json=True)
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (said["device"], said["made"], said["changed"]) == ("p1", False, ["zone"])
    assert said["base"].endswith("/loft/climate/p1")
    assert said["folder"] == str(Layout(root).device("p1"))
    assert "key and certificate stay" in err
    with pytest.raises(Problem, match="--line prints the line alone"):
        provision("p1", fleet=root, line=True, as_json=True)
