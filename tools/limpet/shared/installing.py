"""pip as the set-up needs it: into the environment that was made for it, whatever the user's own
pip is told to do with packages; and showing how far it is.

From the user's settings it takes those that say where packages are to be had, and how they are
reached. Standard library only: tools/limpet_setup/ uses it before anything is installed.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from limpet.shared.progress import Line, followed

# pip's settings that say how an index is reached. Others (user, target, prefix, require-virtualenv,
# no-binary, constraint, ...) are about the user's own packages, and would put ours elsewhere.
_REACHING = {
    *("index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy"),
    *("cert", "client-cert", "keyring-provider", "timeout", "default-timeout", "retries"),
    *("cache-dir", "no-cache-dir", "use-feature", "use-deprecated", "disable-pip-version-check"),
}
_SIZE = re.compile(r"^\s*(?:Downloading|Using cached) .*\(([\d.]+) (kB|MB)\)$")


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` without what leads a Python to other packages than its own."""
    return {
        name: value
        for name, value in environment.items()
        if name not in ("PYTHONPATH", "PYTHONHOME")
    }


def settings(python: str | os.PathLike[str], section: str = "install") -> dict[str, str]:
    """Return the settings of the pip of `python` that say how an index is reached, by their names.

    A variable counts more than a file, and there what is for `section` more than what is for all.
    """
    found: dict[str, dict[str, str]] = {"global": {}, section: {}, ":env:": {}}
    for key in _REACHING:
        if value := os.environ.get(_variable(key)):
            found[":env:"][key] = value
    for text in _config([str(python), "-m", "pip"]).splitlines():
        name, equals, value = text.partition("=")
        part, _, key = name.rpartition(".")
        if equals and part in found and key in _REACHING:
            found[part][key] = str(ast.literal_eval(value))
    return found["global"] | found[section] | found[":env:"]


def _config(pip: list[str]) -> str:
    # `user = true` is about installing, but `pip config` would read the user's file alone.
    told = clean(os.environ) | {"PIP_USER": "0", "PIP_GLOBAL": "0", "PIP_SITE": "0"}
    line = [*pip, "config", "list"]
    listed = subprocess.run(line, capture_output=True, text=True, env=told, timeout=60)
    if listed.returncode and len(pip) > 1 and (other := shutil.which("pip3")):
        # An environment that uv made has no pip of its own; the user's says the same.
        return _config([other])
    return listed.stdout


def _variable(key: str) -> str:
    return "PIP_" + key.upper().replace("-", "_")


def environment(python: str | os.PathLike[str]) -> dict[str, str]:
    """Return the environment for the pip of `python`: no settings but those of `settings`."""
    kept = {name: value for name, value in clean(os.environ).items() if not name.startswith("PIP_")}
    for key, value in settings(python).items():
        kept[_variable(key)] = value
    # Nobody sees it ask for a password: what an index wants of one is said in its URL, or in netrc.
    return kept | {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INPUT": "1"}


def install(python: str | os.PathLike[str], line: Line, *words: str) -> tuple[int, list[str]]:
    """Run `pip install` with `words`; return its exit code and what it said."""
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    root = Path(python).parent.parent
    result = followed(
        [*pip, "--progress-bar", "off", *words],
        lambda said: line.say(how_far(said, root)),
        env=environment(python),
    )
    line.end(how_far(result[1], root))
    return result


def how_far(said: list[str], root: Path) -> str:
    """What pip has done so far, by its own words and by what lies in the environment `root`."""
    packages = sum(" (from " in text for text in said if text.startswith(("Coll", "Proc")))
    sizes = [match for text in said if (match := _SIZE.match(text))]
    kilobytes = sum(float(size[1]) * (1000 if size[2] == "MB" else 1) for size in sizes)
    if not packages:
        return ""
    text = f"{packages} found, {kilobytes / 1000:.0f} MB"
    if any(text.startswith("Installing collected") for text in said):
        there = len(list(root.glob("lib*/python*/site-packages/*.dist-info")))
        text += f", {min(there, packages)} installed"
    return text
