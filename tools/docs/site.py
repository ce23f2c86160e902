"""Builds the docs as a site in build/docs. `make docs` calls it.

The pages lie all over the repository, where a reader of the source looks for them. They are put
into one folder first, each in its own place, so that their links hold in both. MkDocs then fails at
a link that leads nowhere. Its 30 packages go into an environment of their own, from site.lock: who
only wants to run a node never gets them.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from limpet.shared.filling import filled_once
from limpet.shared.installing import clean, environment, install
from limpet.shared.paths import CACHE, REPO
from limpet.shared.problem import Problem
from limpet.shared.progress import Line, followed

HERE = Path(__file__).parent
LOCK = HERE / "site.lock"
PAGES = CACHE / "docs-pages"
SITE = CACHE / "docs"
# Another lock, another environment.
ENVIRONMENT = CACHE / "docs-env" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
MKDOCS_S = 300
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")


def tracked(*patterns: str) -> list[Path]:
    """Return the files in git, or about to be, of these patterns."""
    line = ["git", "-C", str(REPO), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    said = subprocess.run([*line, *patterns], capture_output=True, text=True, timeout=60)
    return [REPO / name for name in said.stdout.split("\0") if name and (REPO / name).is_file()]


def collect() -> None:
    """Fill PAGES with all pages, and with the files that they have links to."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for page in tracked("*.md"):
        wanted = {page}
        for link in _LINK.findall(page.read_text("utf-8")):
            target = (page.parent / link).resolve()
            if target.is_file() and target.is_relative_to(REPO):
                wanted.add(target)
        for path in wanted:
            copy = PAGES / path.relative_to(REPO)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def mkdocs() -> list[str]:
    """Return the start of MkDocs' command line; its environment is made if need be."""
    with filled_once(ENVIRONMENT) as new:
        if new:
            line = Line("Making a place for MkDocs, which builds the site")
            code, _ = followed([sys.executable, "-m", "venv", str(new)], lambda _: line.say(""))
            line.end()
            if not code:
                words = ("--require-hashes", "--only-binary", ":all:", "-r", str(LOCK))
                code, _ = install(str(new / "bin" / "python"), Line("Getting MkDocs"), *words)
            if code:
                raise Problem("MkDocs could not be had from the index.", "Connect, and try again.")
    return [str(ENVIRONMENT / "bin" / "python"), "-m", "mkdocs"]


def main() -> int:
    """Build the site; return MkDocs' exit code."""
    try:
        line = [
            *mkdocs(),
            "build",
            "--strict",
            "--config-file",
            str(HERE / "mkdocs.yml"),
        ]
    except Problem as problem:
        print(f"limpet: {problem.cause}\n{problem.remedy}", file=sys.stderr)
        return 1
    collect()
    told = clean(environment(sys.executable)) | {"NO_MKDOCS_2_WARNING": "1"}
    code = subprocess.run(line, env=told, timeout=MKDOCS_S).returncode
    if not code:
        print(f"limpet: {(SITE / 'index.html').relative_to(REPO)}")
    return code


if __name__ == "__main__":
    sys.exit(main())
