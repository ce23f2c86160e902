"""Which fleet is meant: an option, the working directory, a variable, the user's data directory."""

from __future__ import annotations

import errno
import os
import shlex
from pathlib import Path

import pytest
from limpet.identity import fleet_folder
from limpet.identity.fleet_folder import DATA, HERE, OPTION, VARIABLE, Found, located
from limpet.shared.problem import Problem
from support.fleets import fleet

MINE = {os.stat(__file__).st_uid, os.geteuid()}


class Places:
    """A fleet in each place where one is looked for."""

    def __init__(self, root: Path) -> None:
        self.given, self.here = fleet(root / "given"), fleet(root / "here")
        self.named, self.data = fleet(root / "named"), fleet(root / "data")
        self.below = self.here / "devices" / "node-1"
        self.below.mkdir(parents=True)
        self.elsewhere = root / "elsewhere"
        self.elsewhere.mkdir()


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Four fleets."""
    return Places(tmp_path)


def test_order(places: Places) -> None:
    """--fleet before the working directory, that before the variable, that before the data."""
    named = str(places.named)
    given = located(places.given, places.below, named, places.data, MINE)
    assert given == Found(places.given, OPTION)
    assert located(None, places.below, named, places.data, MINE) == Found(places.here, HERE)
    assert located(None, places.here, named, places.data, MINE) == Found(places.here, HERE)
    elsewhere = located(None, places.elsewhere, named, places.data, MINE)
    assert elsewhere == Found(places.named, VARIABLE)
    for unset in (None, ""):
        found = located(None, places.elsewhere, unset, places.data, MINE)
        assert found == Found(places.data, DATA)
    assert located(None, None, None, places.data, MINE) == Found(places.data, DATA)
    assert located(None, places.elsewhere, None, places.elsewhere / "none", MINE) is None


def test_nearest_fleet_counts(places: Places) -> None:
    """Of one fleet within another, as who copies one there has it, the inner one is meant."""
    inner = fleet(places.below / "copy")
    assert located(None, inner, None, places.data, MINE) == Found(inner, HERE)


def test_folder_that_is_none(places: Places) -> None:
    """What is named has to be one: nothing else is taken instead."""
    none = places.elsewhere
    with pytest.raises(Problem, match="There is no fleet in ") as refused:
        located(none, places.here, str(places.named), places.data, MINE)
    assert refused.value.remedy == f"Make one: limpet init {none}"
    with pytest.raises(Problem, match=f"^LIMPET_FLEET: There is no fleet in {none}"):
        located(None, none, str(none), places.data, MINE)
    (none / "limpet.toml").mkdir()
    with pytest.raises(Problem, match="There is no fleet in "):
        located(none, None, None, places.data, MINE)


def test_folder_that_may_not_be_read_is_not_made_again(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that root has made is there, for whoever may not look into it as well."""

    def denied(path: Path) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    # Root may look everywhere, so no folder's mode says it.
    monkeypatch.setattr(os, "stat", denied)
    monkeypatch.setattr(os.path, "isfile", lambda _path: False)
    for given, named in ((places.given, None), (None, str(places.named))):
        with pytest.raises(Problem, match=r"cannot be seen: Permission denied\.$") as refused:
            located(given, None, named, places.data, MINE)
        assert "limpet init" not in refused.value.remedy


def test_remedy_can_be_pasted(tmp_path: Path) -> None:
    """A folder with a blank in its name is one word of the command line that is shown."""
    folder = tmp_path / "my fleet"
    with pytest.raises(Problem) as none:
        located(folder, None, None, tmp_path, MINE)
    assert shlex.split(none.value.remedy)[-3:] == ["limpet", "init", str(folder)]
    for name in ("ca", "operator"):
        (folder / name).mkdir(parents=True)
    with pytest.raises(Problem) as old:
        located(folder, None, None, tmp_path, MINE)
    assert shlex.split(old.value.remedy)[-2:] == ["--from", str(folder)]
    stranger = fleet(tmp_path / "a stranger's")
    with pytest.raises(Problem) as another:
        located(None, stranger, None, tmp_path, set())
    assert shlex.split(another.value.remedy)[-2:] == ["--fleet", str(stranger)]


def test_set_up_of_before_is_told_apart(tmp_path: Path) -> None:
    """Of what 0.1 made it is said how it becomes a fleet."""
    for name in ("ca", "operator"):
        (tmp_path / name).mkdir()
    with pytest.raises(Problem, match=r"is a set-up of Limpet 0\.1, and no fleet yet") as refused:
        located(tmp_path, None, None, tmp_path / "data", MINE)
    assert refused.value.remedy == f"Take it over: limpet init FOLDER --from {tmp_path}"


def test_fleet_of_another_user_is_not_walked_into(places: Places) -> None:
    """A stranger's limpet.toml in a folder above says nothing, until the user names it."""
    strangers = {max(MINE) + 1}
    with pytest.raises(Problem, match="is a fleet of another user") as refused:
        located(None, places.below, None, places.data, strangers)
    assert refused.value.remedy == f"If you trust it: --fleet {places.here}"
    named = located(None, places.elsewhere, str(places.here), places.data, strangers)
    assert named == Found(places.here, VARIABLE)
    given = located(places.here, places.below, None, places.data, strangers)
    assert given == Found(places.here, OPTION)


def test_sudo_is_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root's own fleets are trusted by all, a caller's by sudo, and nobody else's."""
    for user, caller, trusted in (
        (1000, None, {0, 1000}),
        (1000, "1001", {0, 1000}),
        (0, "1001", {0, 1001}),
        (0, "x", {0}),
    ):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        monkeypatch.delenv("SUDO_UID", raising=False)
        if caller:
            monkeypatch.setenv("SUDO_UID", caller)
        assert fleet_folder._trusted() == trusted


def test_home_is_expanded(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not every shell expands ~ behind FLEET=, and none does in a file of variables."""
    monkeypatch.setenv("HOME", str(places.here.parent))
    assert located(Path("~/given"), None, None, places.data, MINE) == Found(places.given, OPTION)
    assert located(None, None, "~/named", places.data, MINE) == Found(places.named, VARIABLE)


@pytest.mark.parametrize("name", ["my fleet", "dépôt", os.fsdecode(b"caf\xe9")])
def test_any_name(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blanks, letters of any alphabet, and bytes that are no UTF-8."""
    monkeypatch.chdir(fleet(tmp_path / name))
    assert fleet_folder.current() == Found(tmp_path / name, HERE)
    assert fleet_folder.option(tmp_path / name) == ""
    monkeypatch.chdir(tmp_path)
    said = fleet_folder.option(tmp_path / name)
    assert shlex.split(said) == ["--fleet", str(tmp_path / name)]


def test_link_to_a_fleet(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the fleet that it leads to; one that leads to itself is none."""
    link = places.elsewhere / "link"
    link.symlink_to(places.here)
    monkeypatch.chdir(link)
    assert fleet_folder.current() == Found(places.here, HERE)
    assert located(link, None, None, places.data, MINE) == Found(link, OPTION)
    assert fleet_folder.option(link) == ""
    loop = places.elsewhere / "loop"
    loop.symlink_to(loop)
    with pytest.raises(Problem, match="There is no fleet in "):
        located(loop, None, None, places.data, MINE)


def test_working_directory_that_is_gone(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is none from there upwards, and the variable counts."""
    gone = places.elsewhere / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv(VARIABLE, str(places.named))
    assert fleet_folder.current() == Found(places.named, VARIABLE)


def test_none_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where it was looked for, and what makes one; what 0.1 left is thought of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(fleet_folder, "data_folder", lambda: tmp_path / "data")
    monkeypatch.setattr(fleet_folder, "OLD_SETUP", tmp_path / "dev")
    assert fleet_folder.current() is None
    assert fleet_folder.own_boards() is None
    with pytest.raises(Problem, match=r"There is no fleet: no limpet\.toml in the working") as none:
        fleet_folder.required()
    assert str(tmp_path / "data") in none.value.cause
    assert none.value.remedy.startswith("Make one: limpet init FOLDER. Then work in it")
    for name in ("ca", "operator"):
        (tmp_path / "dev" / name).mkdir(parents=True)
    with pytest.raises(Problem) as old:
        fleet_folder.required()
    assert old.value.remedy.endswith(f"limpet init FOLDER --from {tmp_path / 'dev'}")
