"""How .venv is made: tools/bootstrap.py, with pip and venv replaced by a recorder."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from limpet.paths import REPO

STEPS = ["-m venv --clear", "limpet-backend.txt", "requirements.lock", "--no-deps -e"]


class Recorder:
    """Stands in for `bootstrap.run`: notes each step, and is interrupted at the one it is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.interrupt_at: str | None = None

    def __call__(self, step: str, *command: str | Path) -> None:
        """Note what would have been run."""
        line = " ".join(map(str, command))
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
    """Load tools/bootstrap.py with a repository and a .venv of its own, ready to record."""
    spec = importlib.util.spec_from_file_location("bootstrap", REPO / "tools" / "bootstrap.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((REPO / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "REPO", tmp_path)
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(module, "PROJECT", tmp_path / "pyproject.toml")
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "real_run", module.run, raising=False)
    monkeypatch.setattr(module, "run", Recorder())
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
        bootstrap.real_run("Installing something", sys.executable, "-c", "raise SystemExit(3)")
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
