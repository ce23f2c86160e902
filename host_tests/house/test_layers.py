"""The layers of tools/ that pyproject.toml has and `make lint` checks: that they bite."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from limpet.shared.paths import REPO

LINT = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A copy of tools/ in which anything may be imported."""
    for package in ("limpet", "limpet_bench", "limpet_setup"):
        leave = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPO / "tools" / package, tmp_path / package, ignore=leave)
    return tmp_path


def linted(tools: Path) -> tuple[int, list[str], str]:
    """Exit code for the copy, the ids of the contracts that are broken there, and what was said."""
    config = REPO / "pyproject.toml"
    done = subprocess.run(
        [LINT, "--no-cache", "--no-logo", config],
        cwd=tools,
        env=os.environ | {"PYTHONPATH": str(tools)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    contracts = tomllib.loads(config.read_text())["tool"]["importlinter"]["contracts"]
    said = done.stdout + done.stderr
    assert all(f"{each['name']} " in said for each in contracts), said
    broken = [each["id"] for each in contracts if f"{each['name']} BROKEN" in said]
    return done.returncode, broken, said


def test_architecture_has_them() -> None:
    """ARCHITECTURE.md shows the layers in the order in which they are checked."""
    page = (REPO / "ARCHITECTURE.md").read_text().partition("\n## Layers of tools/limpet\n")[2]
    rows = re.findall(r"^\| (`[^|]+`) \|", page.partition("\n## ")[0], re.MULTILINE)
    project = tomllib.loads((REPO / "pyproject.toml").read_text())
    (contract,) = (c for c in project["tool"]["importlinter"]["contracts"] if c["id"] == "layers")
    assert [re.findall(r"\w+", row) for row in rows] == [
        re.findall(r"\w+", layer) for layer in contract["layers"]
    ]


def test_a_folder_says_what_is_in_it() -> None:
    """The docstring of each folder of tools/limpet names its files: all of them, and none that is
    gone. Of a folder in a folder its own docstring may do that, too.
    """
    top = REPO / "tools" / "limpet"
    folders = [path.parent for path in top.glob("*/__init__.py")]
    assert len(folders) > 10
    for folder in folders:
        texts = [(path.parent, path.read_text()) for path in sorted(folder.rglob("__init__.py"))]
        named = {
            place / name for place, text in texts for name in re.findall(r"[\w/]+\.py\b", text)
        }
        there = {path for path in folder.rglob("*.py") if path.name != "__init__.py"}
        assert named == there, folder


def test_layers_as_they_are(tools: Path) -> None:
    """The copy itself is in order, so what the other cases add is what is reported."""
    assert linted(tools)[:2] == (0, [])


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("limpet/identity/authority.py", "from limpet.brokers import rules", "layers"),
        ("limpet/operating/where.py", "from limpet.deploying import deploy", "layers"),
        ("limpet/shared/numbers.py", "from limpet.cli import main", "layers"),
        ("limpet/trial/stage.py", "from limpet.simulator import wokwi", "layers"),
        ("limpet/anything.py", "", "layers"),
        ("limpet/page/store.py", "from limpet.export import files", "layers"),
        (
            "limpet/brokers/embedded/broker.py",
            "from limpet.brokers.mosquitto import files",
            "brokers",
        ),
        ("limpet/brokers/rules.py", "from limpet.brokers.mosquitto import files", "brokers"),
        ("limpet/brokers/another/__init__.py", "", "brokers"),
        ("limpet/brokers/rules.py", "import os", "pure"),
        ("limpet/brokers/mosquitto/renderer.py", "from limpet.shared import private", "pure"),
        ("limpet/identity/layout.py", "from limpet.identity import provisioning", "circles"),
        ("limpet_bench/world.py", "from limpet_bench import session", "circles"),
        ("limpet_setup/steps.py", "from limpet_setup import venv", "circles"),
        ("limpet/operating/setup.py", "from limpet_setup import venv", "installed"),
        ("limpet/shared/numbers.py", "from limpet_bench import world", "installed"),
    ],
)
def test_wrong_import_is_reported(tools: Path, module: str, line: str, broken: str) -> None:
    """Upwards, sideways, in a circle, into what is to be pure; from a folder that has no place."""
    path = tools / module
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        # As one who hides it would write it.
        file.write(f"\n\ndef _hidden() -> None:\n    {line or 'pass'}\n")
    code, found, said = linted(tools)
    assert code == 1
    assert broken in found
    name = module.removesuffix(".py").removesuffix("/__init__").rpartition("/")[2]
    assert re.search(rf"\.{name}\b", said)
