"""`limpet init`: what it makes, what it leaves alone, and what an end in the midst of it leaves."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from limpet.fleet.init import init
from limpet.identity import authority, fleet_settings
from limpet.identity.fleet_settings import Settings
from limpet.identity.layout import Layout
from limpet.identity.operators import NAMES, operator_identity
from limpet.shared.problem import Problem
from support.fleets import fleet
from support.tool import limpet

ENTRIES = {".gitignore", "boards", "broker", "ca", "devices", "limpet.toml", "operators"}


def contents(root: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file below `root`, with what is in it and when that was written."""
    return {
        str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


def assert_whole(root: Path) -> None:
    """A fleet with all that it needs, none of it anybody else's, and nothing left lying about."""
    assert {path.name for path in root.iterdir()} == ENTRIES
    layout = Layout(root)
    ca = authority.load(layout.ca / "ca.key", layout.ca_certificate)
    pairs = [(layout.server_key, layout.server_certificate), *map(layout.operator_pair, NAMES)]
    for key, certificate in pairs:
        authority.load(key, certificate).certificate.verify_directly_issued_by(ca.certificate)
    for name in NAMES:
        assert (layout.operator(name) / "ca.crt").read_bytes() == ca.pem()
    assert not [path for path in root.rglob(".*") if path.name != ".gitignore"]
    for path in root.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_in_an_empty_folder(tmp_path: Path) -> None:
    """It asks nothing, says what to do next, and is done: a device can be made at once."""
    here = tmp_path / "here"
    here.mkdir()
    done = limpet("init", cwd=here)
    assert done.returncode == 0, done.stderr
    assert_whole(here)
    assert f"Making the fleet {here}\n" in done.stdout
    assert "  limpet provision node-1 --broker ADDRESS --wifi-ssid NAME " in done.stdout
    assert fleet_settings.read(here) == Settings(device=fleet_settings.PLACE)
    made = limpet("provision", cwd=here / "devices")
    assert made.returncode == 0, made.stderr
    assert (here / "devices" / "node-1" / "identity.json").is_file()
    lease = operator_identity(here)
    lease.release()


@pytest.mark.parametrize(
    "words",
    [
        ["provision", "node-2"],
        ["broker"],
        ["fleet", "list"],
        ["fleet", "show", "node-1"],
        ["fleet", "remove", "node-1", "--yes"],
        ["node", "node-1"],
        ["image", "esp32_devkit", "--device", "node-1"],
        ["deploy", "esp32_devkit", "--device", "node-1", "--port", "/nowhere"],
        ["wokwi", "esp32_devkit"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_where_there_is_none(tmp_path: Path, words: list[str]) -> None:
    """Each tool that needs a fleet says so, and what makes one; by whatever way it was named."""
    done = limpet(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("limpet: There is no fleet: no limpet.toml in the working dir")
    assert "\nMake one: limpet init FOLDER. " in done.stderr
    named = limpet(*words, "--fleet", "there", cwd=tmp_path)
    said = "There is no fleet in there.\nMake one: limpet init there\n"
    assert (named.returncode, named.stderr) == (1, f"limpet: {said}")
    told = limpet(*words, cwd=tmp_path, LIMPET_FLEET="there")
    assert (told.returncode, told.stderr) == (1, f"limpet: LIMPET_FLEET: {said}")
    assert not list(tmp_path.iterdir())


def test_second_run_changes_nothing(tmp_path: Path) -> None:
    """And says so; nor does one that asks for what is there. Another name is refused."""
    root = tmp_path / "fleet"
    assert limpet("init", root, "--org", "farm").returncode == 0
    before = contents(root)
    for words in ((), ("--org", "farm")):
        again = limpet("init", root, *words)
        said = f"{root} is a fleet already; nothing was changed.\n"
        assert (again.returncode, again.stdout) == (0, said)
    for option, value, what in (
        ("--org", "other", "with another organisation"),
        ("--broker", "a.example", "with another address"),
        ("--from", str(tmp_path), f"and nothing is taken over from {tmp_path}"),
    ):
        other = limpet("init", root, option, value)
        assert other.returncode == 1
        assert other.stderr.startswith(f"limpet: {root} is a fleet already, {what}.\n")
    assert contents(root) == before


def test_options(tmp_path: Path) -> None:
    """They stand in limpet.toml, a new device begins with them, and the certificate has them."""
    root = tmp_path / "fleet"
    words = ("--org", "farm", "--broker", "192.168.1.7", "--port", "8890")
    done = limpet("init", root, *words, "--server-name", "b.example", "--server-name", "fd00::7")
    assert done.returncode == 0, done.stderr
    assert "  limpet provision node-1 --wifi-ssid NAME " in done.stdout
    made = fleet_settings.read(root)
    assert (made.organisation, made.address, made.port) == ("farm", "192.168.1.7", 8890)
    layout = Layout(root)
    server = authority.load_certificate(layout.server_certificate)
    assert authority.covers(server, ["192.168.1.7", "b.example", "fd00::7", "localhost"])
    assert limpet("provision", "node-5", "--fleet", root).returncode == 0
    assert layout.bases() == {"node-5": "farm/home/desk/climate/node-5"}


def test_what_limpet_toml_says_is_how_a_device_begins(tmp_path: Path) -> None:
    """Of what is said on the command line that counts; of one that is there nothing changes."""
    root = fleet(tmp_path / "fleet", Settings("farm", "a.example", device={"site": "north"}))
    assert limpet("provision", "--fleet", root).returncode == 0
    assert limpet("provision", "node-2", "--site", "south", "--fleet", root).returncode == 0
    text = (root / "limpet.toml").read_text().replace('"north"', '"west"')
    (root / "limpet.toml").write_text(text.replace("names = []", 'names = ["later.example"]'))
    again = limpet("provision", "--fleet", root)
    assert "new certificate for" in again.stdout
    assert "later.example" in again.stdout
    sites = {name: base.split("/")[:2] for name, base in Layout(root).bases().items()}
    assert sites == {"node-1": ["farm", "north"], "node-2": ["farm", "south"]}
    (root / "limpet.toml").write_text("[device]\nsite = 5\n")
    refused = limpet("provision", "node-3", "--fleet", root)
    assert refused.returncode == 1
    assert f"{root}/limpet.toml, line 2: site: must be a string." in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--org", "Farm"), "organisation: no upper case"),
        (("--broker", "ADDRESS"), "address: must be the address itself"),
        (("--broker", "test.mosquitto.org"), "address: is a public broker"),
        (("--broker", "a.example", "--port", "1883"), "port: 1883 is not encrypted"),
        (("--server-name", "a.example:8883"), "names: each must not contain the port"),
    ],
)
def test_refuses_what_no_device_would_take(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    """By name and rule, and nothing is made."""
    done = limpet("init", tmp_path / "fleet", *words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"limpet: {said}")
    assert "Nothing was made" in done.stderr
    assert not (tmp_path / "fleet").exists()


def test_fleet_that_is_found_from_everywhere(tmp_path: Path) -> None:
    """In the user's data directory it needs no name, and a tool that takes it says so."""
    place = str(tmp_path / "data")
    made = limpet("init", tmp_path / "data" / "limpet" / "fleet", XDG_DATA_HOME=place)
    assert made.stdout.endswith("It is found from everywhere.\n")
    assert limpet("provision", cwd=tmp_path, XDG_DATA_HOME=place).returncode == 0
    listed = limpet("fleet", "list", cwd=tmp_path, XDG_DATA_HOME=place)
    assert listed.stdout.startswith(f"fleet {tmp_path}/data/limpet/fleet\n")
    sent = limpet("send", "node-1", "ping", "--port", "1", cwd=tmp_path, XDG_DATA_HOME=place)
    assert f"limpet: in the fleet {tmp_path}/data/limpet/fleet, by the user's data" in sent.stderr


def test_refuses_a_folder_with_something_else_in_it(tmp_path: Path) -> None:
    """What is there is named, and stays alone; git's own folder is nothing else."""
    for name in ("thesis.tex", "a", "b", "c"):
        (tmp_path / name).touch()
    with pytest.raises(Problem, match=r"holds other things: a, b, c, \.\.\.\.$"):
        init(tmp_path)
    for name in ("a", "b", "c"):
        (tmp_path / name).unlink()
    with pytest.raises(Problem, match=r"holds other things: thesis\.tex\.$"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    (tmp_path / "thesis.tex").unlink()
    (tmp_path / ".git").mkdir()
    assert init(tmp_path) == 0


def test_refuses_to_be_inside_another(tmp_path: Path) -> None:
    """As the folder of a device or of a board would be: who meant the fleet is told so."""
    root = fleet(tmp_path / "fleet")
    for inside in (root / "boards", root / "devices" / "node-1"):
        with pytest.raises(Problem, match=f"is inside the fleet {root}"):
            init(inside)
        assert not inside.exists()


def test_place_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named with its cause, without a traceback: a file in the way, a link to itself, no room."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("loop").symlink_to("loop")
    for place in ("file", "file/x", "loop"):
        done = limpet("init", place)
        assert (done.returncode, done.stdout) == (1, "")
        said = rf"limpet: /.*/{place[:4]}.*: (Not a directory|File exists|Too many .* links)\."
        assert re.match(said, done.stderr), done.stderr
        assert "Traceback" not in done.stderr
    assert Path("file").read_bytes() == b""


@pytest.mark.parametrize("name", ["my fleet", "dépôt", os.fsdecode(b"caf\xe9")])
def test_any_name_of_a_folder(tmp_path: Path, name: str) -> None:
    """Blanks, any alphabet, and bytes that are no UTF-8, from init to a list of the devices."""
    root = tmp_path / name
    assert limpet("init", name, cwd=tmp_path).returncode == 0
    assert_whole(root)
    assert limpet("provision", cwd=root).returncode == 0
    listed = limpet("fleet", "list", cwd=root)
    assert listed.returncode == 0, listed.stderr
    assert "node-1  limpet/home/desk/climate/node-1  127.0.0.1:8883  20" in listed.stdout


def test_link_to_a_folder(tmp_path: Path) -> None:
    """The fleet is where the link leads to, and the link leads to it."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    assert init(tmp_path / "link") == 0
    (tmp_path / "disk").chmod(0o700)
    assert_whole(tmp_path / "disk")
    assert limpet("provision", "--fleet", tmp_path / "link").returncode == 0
    assert (tmp_path / "disk" / "devices" / "node-1").is_dir()


def test_git_gets_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may be committed is in git, all else stays out: also keys in a board's folder, and what
    nobody has thought of.
    """
    monkeypatch.setenv("LIMPET_PASSWORD", "not-for-git")
    root = tmp_path / "fleet"
    init(root)
    words = ("--username", "node-1", "--fleet", root)
    done = limpet("provision", "node-1", *words, LIMPET_PASSWORD="not-for-git")  # noqa: S106
    assert done.returncode == 0, done.stderr
    done = limpet("broker-config", "mosquitto", "--fleet", root)
    assert done.returncode == 0, done.stderr
    for name in ("boards/mine/board.py", "boards/mine/own.key", "store/readings.db", "notes"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    git = ["git", "-C", str(root), "-c", "core.excludesFile=/dev/null"]
    for line in (["init", "-q"], ["add", "-A"]):
        subprocess.run([*git, *line], check=True, timeout=60)
    names = subprocess.check_output([*git, "ls-files"], text=True, timeout=60).split()
    assert names == [
        *(".gitignore", "boards/mine/board.py", "broker/devices.json", "ca/ca.crt", "limpet.toml"),
    ]
    for name in names:
        assert b"not-for-git" not in (root / name).read_bytes()
        assert b"PRIVATE KEY" not in (root / name).read_bytes()


class PowerCut(BaseException):
    """The end of everything: from then on nothing is written, renamed or tidied up."""


class Power:
    """Cuts the power before the file or folder number `last` gets its name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, last: int) -> None:
        self.left = last
        for module, name in (
            *((os, name) for name in ("replace", "rename", "unlink", "mkdir")),
            (shutil, "rmtree"),
        ):
            naming = name in ("replace", "rename")
            monkeypatch.setattr(module, name, self._guarded(getattr(module, name), naming))

    def _guarded(self, does: Callable[..., Any], naming: bool) -> Callable[..., Any]:
        def guarded(*words: Any, **named: Any) -> Any:
            self.left -= naming
            if self.left < 0:
                raise PowerCut
            return does(*words, **named)

        return guarded


def cut_short(root: Path, last: int, how: type[BaseException], **options: Any) -> bool:
    """Make a fleet and end it by `how` at step `last`; False when it had fewer steps than that."""
    with pytest.MonkeyPatch.context() as patch:
        if how is PowerCut:
            Power(patch, last)
        else:
            names = iter(range(last))
            replace = os.replace

            def interrupted(old: str, new: Path) -> None:
                if next(names, None) is None:
                    raise how
                replace(old, new)

            patch.setattr(os, "replace", interrupted)
        try:
            init(root, **options)
        except how:
            return True
    return False


@pytest.mark.long
@pytest.mark.parametrize("how", [PowerCut, KeyboardInterrupt])
def test_end_in_the_midst(tmp_path: Path, how: type[BaseException]) -> None:
    """At whatever step the power or Ctrl-C ends it: what is there is no fleet, and a second run
    makes it one, with the CA that was made first.
    """
    step = 0
    while cut_short(root := tmp_path / str(step), step, how):
        assert not (root / "limpet.toml").exists()
        key = root / "ca" / "ca.key"
        had = key.read_bytes() if key.exists() else None
        assert init(root) == 0
        assert_whole(root)
        assert had in (None, key.read_bytes())
        step += 1
    assert step > 25
