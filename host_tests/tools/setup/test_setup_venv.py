"""How .venv is made: tools/limpet_setup/, with pip and venv replaced by a recorder."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from limpet.shared.paths import REPO
from limpet_setup import cleaning, steps, venv

STEPS = ["-m venv", "limpet-backend.txt", "requirements.lock", "--no-deps -e"]


class Recorder:
    """Stands in for what runs commands: notes each, and is interrupted at the one it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.interrupt_at: str | None = None

    def __call__(self, *words: str | Path) -> None:
        """Note what would have been run."""
        line = " ".join(map(str, words))
        self.steps.append(line)
        if self.interrupt_at and self.interrupt_at in line:
            raise KeyboardInterrupt

    def took(self) -> list[str]:
        """Which of STEPS were taken since the last call, in order."""
        taken = [known for line in self.steps for known in STEPS if known in line]
        self.steps.clear()
        return taken


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """limpet_setup.venv with a repository and a .venv of its own, ready to record."""
    module = venv
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
    monkeypatch.setattr(module, "REPO", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "BUILD", tmp_path / "build")
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(module, "PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    recorder = Recorder()
    monkeypatch.setattr(module, "run", recorder)
    monkeypatch.setattr(module, "install", recorder)
    return module


def test_second_start_runs_nothing(bootstrap: ModuleType) -> None:
    """Once everything is there, neither venv nor pip is started, so no network is needed."""
    bootstrap.make()
    assert bootstrap.run.took() == STEPS
    bootstrap.make()
    assert bootstrap.run.took() == []


@pytest.mark.parametrize("at", STEPS)
def test_interrupted_setup_goes_on(bootstrap: ModuleType, at: str) -> None:
    """A set-up interrupted in any step is not taken for done; a .venv is not made twice."""
    bootstrap.run.interrupt_at = at
    with pytest.raises(KeyboardInterrupt):
        bootstrap.make()
    bootstrap.run.took()
    bootstrap.run.interrupt_at = None
    bootstrap.make()
    assert bootstrap.run.took() == (STEPS if at == STEPS[0] else STEPS[1:])


def test_changed_lock_installs_again(bootstrap: ModuleType) -> None:
    """A lock that changed is installed into the .venv that is there; a linter's setting is not."""
    bootstrap.make()
    bootstrap.run.took()
    with bootstrap.PROJECT.open("a") as project:
        project.write("[tool.other]\n")
    bootstrap.make()
    assert bootstrap.run.took() == []
    bootstrap.LOCK.write_text(bootstrap.LOCK.read_text() + "\n")
    bootstrap.make()
    assert bootstrap.run.took() == STEPS[1:]


@pytest.mark.parametrize("change", ["python gone", "moved"])
def test_dead_venv_is_made_anew(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """A .venv whose Python was removed, or that was moved with its repository, is made again."""
    bootstrap.make()
    bootstrap.run.took()
    if change == "moved":
        monkeypatch.setattr(bootstrap, "VENV", (tmp_path / ".venv").rename(tmp_path / "moved"))
    else:
        monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / "gone")
    bootstrap.make()
    assert bootstrap.run.took() == STEPS


def test_failed_step_ends_with_cause_and_remedy(bootstrap: ModuleType) -> None:
    """A step that fails names itself and what to do, and the set-up ends there."""
    with pytest.raises(SystemExit) as end:
        steps.run("Installing something", sys.executable, "-c", "raise SystemExit(3)")
    assert "Installing something did not succeed" in str(end.value)
    assert "call make again" in str(end.value)


def test_old_python_is_named(bootstrap: ModuleType) -> None:
    """A Python before 3.11 is refused with its version and the way to name another."""
    text = bootstrap.unfit((3, 10), True)
    assert "3.11 or later" in text
    assert "is 3.10" in text
    assert "make PYTHON=" in text
    assert bootstrap.unfit((3, 11), True) is None


def test_missing_venv_package_is_named(bootstrap: ModuleType) -> None:
    """A Debian without python3-venv is told to install it."""
    assert "apt install python3-venv" in bootstrap.unfit((3, 13), False)


def test_backend_is_cut_out_of_the_lock(bootstrap: ModuleType) -> None:
    """The build backend is installed from the lock's own lines, version and every hash."""
    wanted = "b==2 \\\n    --hash=2 \\\n    --hash=3\n"
    assert bootstrap.locked("b", f"a==1 \\\n    --hash=1\n{wanted}c==4\n") == wanted
    assert "--hash=sha256:" in bootstrap.locked("setuptools", bootstrap.LOCK.read_text())


def things(folder: Path) -> list[str]:
    """All that lies below `folder`, through links too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


FOREIGN = ["folder", "link to a folder", "link to another clone's", "link to nowhere", "file"]


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("act", ["make", "clean"])
def test_foreign_venv_is_left_alone(
    bootstrap: ModuleType, tmp_path: Path, kind: str, act: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A .venv that somebody else made, or that leads to somebody's files, is named, and stays;
    clean takes what is ours below build/.
    """
    theirs = tmp_path / "theirs"
    if kind in ("folder", "link to a folder", "link to another clone's"):
        place = bootstrap.VENV if kind == "folder" else theirs
        (place / "lib").mkdir(parents=True)
        (place / "pyvenv.cfg").write_text("home = /usr/bin")
        (place / "lib" / "thesis.tex").touch()
    if kind == "link to another clone's":
        (theirs / "limpet-made").write_text("/elsewhere/.venv")
    if kind == "file":
        bootstrap.VENV.write_text("/elsewhere")
    elif kind != "folder":
        bootstrap.VENV.symlink_to(theirs)
    before = things(tmp_path)
    if act == "clean":
        (tmp_path / "build" / "debian" / "x").mkdir(parents=True)
        cleaning.clean()
        assert things(tmp_path) == before
        assert f"{bootstrap.VENV} stays: Limpet did not make it\n" in capsys.readouterr().out
        return
    with pytest.raises(SystemExit) as end:
        bootstrap.make()
    assert f"{bootstrap.VENV} is there, and Limpet did not make it." in str(end.value)
    assert "mv .venv .venv-mine" in str(end.value)
    assert bootstrap.run.steps == []
    assert things(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_empty_folder_is_filled(bootstrap: ModuleType, tmp_path: Path, kind: str) -> None:
    """An empty folder is nobody's work; a link may put .venv onto another disk, and comes off."""
    place = bootstrap.VENV if kind == "folder" else tmp_path / "disk"
    place.mkdir()
    if kind == "link":
        bootstrap.VENV.symlink_to(place)
    bootstrap.run.interrupt_at = STEPS[0]
    with pytest.raises(KeyboardInterrupt):
        bootstrap.make()
    bootstrap.run.interrupt_at = None
    bootstrap.make()
    assert bootstrap.run.took() == [STEPS[0], *STEPS]
    cleaning.clean()
    assert not bootstrap.VENV.exists()
    assert place.exists() == (kind == "link")


def test_clean_keeps_certificates_and_keys(
    bootstrap: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can be had again goes; CA, devices, images and what the tools do not know stay."""
    bootstrap.make()
    kept = ["dev/ca/ca.key", "dev/devices/node-1/key.der", "trial/ca/ca.key", "office/ca/ca.key"]
    kept += ["images/esp32_devkit/vfs.bin", "wokwi/wokwi-esp32/vfs.bin"]
    gone = ["debian/x/usr/bin/micropython", "umqtt/umqtt/robust.py", "umqtt.lock", "uv.new/x"]
    for name in kept + gone:
        path = tmp_path / "build" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    cleaning.clean()
    left = [name for name in things(tmp_path / "build") if (tmp_path / "build" / name).is_file()]
    assert left == sorted(kept)
    assert not bootstrap.VENV.exists()
    said = capsys.readouterr().out
    assert "build/dev, build/images, build/office, build/trial, build/wokwi" in said


def test_clean_never_removes_a_fleet(
    bootstrap: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even one that somebody has made in the place of a cache; what `limpet run` made for
    itself goes, and so does a link, with nothing of what it leads to.
    """
    build = tmp_path / "build"
    for name in ("run/ca/ca.key", "bench/mine/limpet.toml", "bench/mine/ca/ca.key", "other/x"):
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (build / name).touch()
    (build / "other" / "limpet.toml").touch()
    (build / "virtual").symlink_to(build / "other")
    cleaning.clean()
    left = [name for name in things(build) if (build / name).is_file()]
    assert left == [
        "bench/mine/ca/ca.key",
        "bench/mine/limpet.toml",
        "other/limpet.toml",
        "other/x",
    ]
    assert not (build / "virtual").is_symlink()
    assert "Kept, for their keys and results: build/bench, build/other\n" in capsys.readouterr().out


def test_clean_refuses_while_a_tool_runs(bootstrap: ModuleType, tmp_path: Path) -> None:
    """What `limpet` runs with is not taken away from it: nothing goes until it has ended."""
    bootstrap.make()
    (tmp_path / "build" / "debian").mkdir()
    before = things(tmp_path)
    script = """if True:
        import sys
        sys.prefix = sys.argv[1]
        from limpet import cli
        cli._run = lambda: print("runs", flush=True) or sys.stdin.read() and None
        cli.main()"""
    line = [sys.executable, "-c", script, str(bootstrap.VENV)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tool:
        assert tool.stdout
        assert tool.stdout.readline() == "runs\n"
        with pytest.raises(SystemExit) as end:
            cleaning.clean()
        assert "A program of this clone runs" in str(end.value)
        assert things(tmp_path) == before
        tool.communicate(timeout=60)
    cleaning.clean()
    assert not bootstrap.VENV.exists()


def test_who_runs_the_tests_holds_the_environment() -> None:
    """`make clean` leaves it to pytest and to the programs of host_tests/ that make runs, too."""
    makefile = (REPO / "Makefile").read_text()
    programs = re.findall(r"python (host_tests/\w+\.py)", makefile)
    for name in {"host_tests/conftest.py", *programs} - {"host_tests/busy.py"}:
        assert "    in_use.hold()\n" in (REPO / name).read_text(), name


def test_clean_knows_every_folder_of_the_tools(bootstrap: ModuleType) -> None:
    """Whatever is made below build/ is a cache, which clean removes, or known to stay."""
    sources = [*(REPO / "tools").rglob("*.py"), *(REPO / "host_tests").rglob("*.py")]
    pattern = re.compile(r'(?:BUILD|CACHE|DATA) / "([a-z-]+)"')
    made = {name for path in sources for name in pattern.findall(path.read_text())}
    assert made - set(cleaning.CACHES) == {"dev", "images", "trial", "wokwi"}
    assert set(cleaning.CACHES) <= made


def test_second_make_waits_and_says_so(bootstrap: ModuleType) -> None:
    """Two `make` at once: one sets up, the other waits for it."""
    script = """if True:
        import pathlib, sys
        sys.path[:0] = sys.argv[1:2]
        from limpet_setup import venv
        venv.BUILD = pathlib.Path(sys.argv[2])
        with venv.alone():
            print("alone")"""
    line = [sys.executable, "-c", script, str(REPO / "tools"), str(bootstrap.BUILD)]
    with bootstrap.alone():
        second = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
        assert second.stdout
        assert "waiting for it" in second.stdout.readline()
    said, _ = second.communicate(timeout=60)
    assert said == "alone\n"


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", "Make room"),
        ("Error: [Errno 13] Permission denied: 'x'", "Make that writable for you"),
        ("[Errno 20] Not a directory: 'build'", "Put that right"),
        ("ConnectTimeoutError", "If it is the network"),
    ],
)
def test_remedy_is_of_the_cause(bootstrap: ModuleType, said: str, wanted: str) -> None:
    """Who has no room, or may not write, is not sent to look for a network."""
    assert steps.remedy(said).startswith(wanted)
    with pytest.raises(SystemExit) as end:
        steps.check("Installing", 1, [said])
    assert wanted in str(end.value)


@pytest.mark.parametrize("full", ["no room", "a file in the way"])
def test_disk_that_takes_nothing_is_named(tmp_path: Path, full: str) -> None:
    """No room and a `build` that is no folder: cause and remedy, no traceback."""
    (tmp_path / "tools").mkdir()
    for name in ("tools/bootstrap.py", "requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
    shutil.copytree(REPO / "tools" / "limpet_setup", tmp_path / "tools" / "limpet_setup")
    (tmp_path / "tools" / "limpet").symlink_to(REPO / "tools" / "limpet")
    if full == "no room":
        (tmp_path / ".venv").mkdir()
        (tmp_path / ".venv" / "limpet-made").touch()
        (tmp_path / ".venv" / "limpet-made.tmp").symlink_to("/dev/full")
    else:
        (tmp_path / "build").touch()
    line = [sys.executable, str(tmp_path / "tools" / "bootstrap.py")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    cause, remedy = done.stderr.splitlines()
    assert cause.startswith(f"limpet: {tmp_path}/")
    assert cause.endswith(("No space left on device.", "File exists."))
    assert remedy.startswith(("Make room", "Put that right"))


def test_old_python_can_read_that_it_is_too_old() -> None:
    """What is imported before the version was looked at parses under Python 3.7."""
    setup = REPO / "tools" / "limpet_setup"
    early = [REPO / "tools" / "bootstrap.py"]
    early += [setup / name for name in ("__init__.py", "steps.py", "venv.py")]
    for path in early:
        module = ast.parse(path.read_text(), feature_version=(3, 7))
        told = {each.module for each in module.body if isinstance(each, ast.ImportFrom)}
        assert {name for name in told if name and name.startswith("limpet.")} == set(), path


def test_set_up_needs_the_standard_library_alone() -> None:
    """Nothing else is there when a clone is new."""
    script = """if True:
        import sys
        sys.path.insert(0, sys.argv[1])
        from limpet_setup import cleaning, locking, steps, venv
        from limpet.shared import installing, locks, progress"""
    line = [sys.executable, "-I", "-S", "-c", script, str(REPO / "tools")]
    subprocess.run(line, check=True, timeout=60)
