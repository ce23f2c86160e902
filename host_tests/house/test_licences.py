"""docs/notes/licences.md names every package that limpet imports, and all that ask for more than a
notice.
"""

from __future__ import annotations

import ast
import re
from importlib import metadata

from limpet.shared.paths import REPO
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.repository import tracked

PAGE = REPO / "docs" / "notes" / "licences.md"
# As packages write them: SPDX in new ones, words in old ones.
NOTICE_ONLY = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense)\b")
ASKS_FOR_MORE = re.compile(r"GPL|MPL|EPL|CDDL|EUPL|General Public|Mozilla|Eclipse", re.IGNORECASE)


def table() -> dict[str, str]:
    """The licence of each package of the page's first table."""
    text = PAGE.read_text("utf-8").partition("## What is imported")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([\w-]+) \| ([^|]+) \|", text, re.MULTILINE)[1:])


def wanted(name: str) -> list[str]:
    """What an installed package asks for here, without its extras."""
    found = [Requirement(each) for each in metadata.requires(name) or []]
    return [each.name for each in found if not each.marker or each.marker.evaluate({"extra": ""})]


def expression(name: str) -> list[str]:
    """The SPDX expression of an installed package, if it has one."""
    return metadata.metadata(name).get_all("License-Expression") or []


def licence(name: str) -> str:
    """What an installed package says of its licence; its licence file, where it says nothing."""
    found = metadata.distribution(name)
    said = [*expression(name), *(found.metadata.get_all("License") or [])]
    said += [each for each in found.metadata.get_all("Classifier") or [] if "License ::" in each]
    if said:
        return " ".join(each.partition("\n")[0] for each in said)
    files = [each for each in found.files or [] if "licenses/" in str(each)]
    return " ".join(each.read_text().partition("\n")[0] for each in files)


def test_every_package_is_in_the_table() -> None:
    """What limpet asks for itself stands there, with the licence that the package says it has."""
    rows = table()
    direct = {canonicalize_name(each) for each in wanted("limpet")}
    assert direct <= set(rows)
    for name in rows:
        said = licence(name)
        words = re.split(r" OR ", rows[name])
        # One says "BSD 3-Clause License" where SPDX has BSD-3-Clause.
        assert all(word.partition("-")[0] in said for word in words), f"{name}: {said}"
        assert expression(name) in ([rows[name]], []), name


def test_what_asks_for_more_is_in_the_table() -> None:
    """Of all packages that come with limpet none asks for more than a notice, or says nothing, but
    those that are named.
    """
    found: dict[str, str] = {}
    left = ["limpet"]
    while left:
        name = canonicalize_name(left.pop())
        if name not in found:
            found[name] = licence(name)
            left += wanted(name)
    assert len(found) > 40, "the packages behind the packages were not found"
    more = {name for name, said in found.items() if ASKS_FOR_MORE.search(said)}
    assert {"esptool", "certifi"} <= more
    assert more <= set(table())
    silent = {name for name, said in found.items() if not NOTICE_ONLY.search(said)} - more
    assert not silent


def test_esptool_is_imported_where_the_page_says() -> None:
    """Three modules import what is under the GPL, and the page names them."""
    importing = set()
    for path in tracked():
        if path.suffix != ".py" or "host_tests" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_bytes())):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif not isinstance(node, ast.Import):
                continue
            if any(name.split(".")[0] == "esptool" for name in names):
                importing.add(path)
    assert {path.parent for path in importing} == {REPO / "tools" / "limpet" / "boards"}
    assert all(f"`{path.name}`" in PAGE.read_text("utf-8") for path in importing)
    assert len(importing) == 3
