"""Writes docs/reference/, the pages that are made from the code, and the dashboard for Grafana.
`make docs` calls it.

    .venv/bin/python tools/docs/reference.py            write them
    .venv/bin/python tools/docs/reference.py --check    say which are stale; exit code 1 if one is

The prose is in pages/, with places such as @causes@ for tables. Names, ranges, defaults and
examples come from the code itself, meanings from docstrings, comments and help texts where there
are some, else from words.toml. A name without words, or words without a name, ends it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from limpet.shared.paths import DASHBOARD, REPO

sys.path.insert(0, str(REPO / "tools"))

from docs import of_config, of_dashboard, of_node, of_tools

HERE = Path(__file__).parent
FOLDER = REPO / "docs" / "reference"
MADE = (
    "<!-- Made by tools/docs/reference.py from the code: change that, and run `make docs`. -->\n\n"
)


def pages() -> dict[str, str]:
    """Return all pages, by name."""
    places = {
        **of_node.of_topics(),
        **of_config.of_config(),
        **of_node.of_commands(),
        **of_node.of_causes(),
        **of_tools.of_exit_codes(),
        **of_tools.of_command_line(),
    }
    made = {}
    for path in sorted((HERE / "pages").iterdir()):
        text = path.read_text("utf-8")
        made[path.stem] = MADE + re.sub(r"@([a-z-]+)@", lambda place: places[place[1]], text)
    return made


def main() -> int:
    """Write the pages, or with --check say which are stale."""
    check, stale = "--check" in sys.argv[1:], False
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = {FOLDER / name: text for name, text in pages().items()}
    made[DASHBOARD] = of_dashboard.made()
    for path, text in made.items():
        if not path.exists() or path.read_text("utf-8") != text:
            stale = True
            print(
                f"limpet: {path.relative_to(REPO)} {'is stale: make docs' if check else 'written'}"
            )
            if not check:
                path.write_text(text, "utf-8")
    for path in FOLDER.iterdir():
        if path not in made:
            stale = True
            print(f"limpet: {path.relative_to(REPO)} is made by nothing: remove it")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
