"""A real Chromium without a screen, driven by Playwright: the system's, or Debian's, unpacked
privately; and what it is told about each page that it opens.

Debian's is started by the loader of its own C library. A Chromium finds its files, and starts its
children, by what /proc/self/exe says, and there that is the loader: so a copy of it lies beside
them, and children are started by the same script.
"""

from __future__ import annotations

import functools
import os
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import pytest
from limpet.node_host import debian
from limpet.shared.fetching import fetched, unpack
from limpet.shared.filling import filled_once
from limpet.shared.known_files import NPM, File
from limpet.shared.paths import CACHE, REPO
from limpet.shared.problem import Problem
from playwright.sync_api import Browser, Page, Request, sync_playwright

SHELL = "chromium-headless-shell"
FONTS = ("fonts-inter-variable", "fonts-dejavu-core")
# Far above what a loaded machine takes, so that only what never comes meets it.
TIMEOUT_MS = 60_000
# Pictures of what is shown: all of them, and those that docs show.
SHOTS = REPO / "build" / "pictures"
DOCS = REPO / "docs" / "images"
SHOWN = ("outage", "fleet-dark", "phone")
# It looks for nothing of its maker's, and draws text the same on each machine.
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--font-render-hinting=none",
)  # fmt: skip
AXE = File(
    "axe-core, which finds what is in the way of some people",
    NPM,
    "axe-core-4.14.1.tgz",
    708_405,
    "e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745",
    "axe-core",
    "4.14.1",
)
_FONTS = """\
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
{folders}
<cachedir>{cache}</cachedir>
{aliases}
</fontconfig>
"""
_ALIAS = (
    '<alias binding="strong"><family>{}</family><prefer><family>Inter Variable</family>'
    "</prefer></alias>"
)

Scheme = Literal["dark", "light"]


@functools.cache
def _unpacked() -> list[Path] | str:
    """The folders of Chromium and its fonts, or why there are none."""
    if not debian.available():
        return "no Debian apt to get it from"
    try:
        return [debian.unpacked(each) for each in (SHELL, *FONTS)]
    except Problem as problem:
        return problem.cause


def _started_by(root: Path, fonts: list[Path], folder: Path) -> Path:
    """Return a script in `folder` that starts the Chromium below `root`."""
    triplet, loader = debian.LOADERS[debian.HOST]
    libraries = root / "usr" / "lib" / triplet
    home = root / "usr" / "lib" / "chromium"
    beside = home / loader
    if not beside.exists():
        new = home / f"{loader}.{os.getpid()}"
        shutil.copy2(libraries / loader, new)
        new.replace(beside)
    settings = folder / "fonts.conf"
    settings.write_text(
        _FONTS.format(
            folders="\n".join(f"<dir>{each}/usr/share/fonts</dir>" for each in fonts),
            cache=folder / "fonts",
            aliases="\n".join(_ALIAS.format(each) for each in ("system-ui", "sans-serif", "Inter")),
        ),
        "utf-8",
    )
    path = f"{libraries}:{libraries / 'pulseaudio'}:{home}"
    line = [str(beside), "--library-path", path, str(home / SHELL)]
    script = folder / "chromium"
    script.write_text(
        f'#!/bin/sh\nFONTCONFIG_FILE={shlex.quote(str(settings))} exec {shlex.join(line)} "$@"\n',
        "utf-8",
    )
    script.chmod(0o755)
    return script


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Start a Chromium for the tests of a module; skip them where none can be had."""
    flags = list(FLAGS)
    program = shutil.which("chromium")
    if program is None:
        found = _unpacked()
        if isinstance(found, str):
            pytest.skip(f"no Chromium here: {found}")
        root, *fonts = found
        program = str(_started_by(root, fonts, tmp_path_factory.mktemp("chromium")))
        flags += [f"--browser-subprocess-path={program}", "--no-zygote"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=flags, timeout=TIMEOUT_MS
        )
        yield browser
        browser.close()


def axe() -> str:
    """Return axe-core's script."""
    folder = CACHE / "axe-core" / AXE.version
    with filled_once(folder) as new:
        if new:
            unpack(fetched(AXE, new), new)
    return (folder / "package" / "axe.min.js").read_text("utf-8")


@dataclass
class Visit:
    """A page that is open at `origin`. said: what stands in its console, and what nobody caught;
    asked: the addresses of all that it asked for.
    """

    page: Page
    origin: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def heard(self) -> None:
        """Note from now on what it says and asks for."""
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"not caught: {error}"))
        self.page.on("request", lambda request: self.asked.append(_address(request)))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))

    def at(self, address: str = "") -> Page:
        """Open it, with `#/...` as it is, and return the page."""
        self.page.goto(f"{self.origin}/{address}", timeout=TIMEOUT_MS)
        return self.page

    def is_quiet(self) -> None:
        """Fail unless nothing stands in the console, and nobody else was asked for anything."""
        assert not self.said
        own = urlsplit(self.origin).netloc
        assert self.asked
        assert {urlsplit(each).netloc for each in self.asked} == {own}

    def hindrances(self) -> list[dict[str, Any]]:
        """Return what axe-core finds that is serious: rule, and the elements."""
        # The page's policy lets no script in but its own; this one comes by the debugger.
        self.page.evaluate(axe())
        found = self.page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            {"rule": each["id"], "at": [node["target"] for node in each["nodes"]][:5]}
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]


def picture(visit: Visit, name: str, *, whole: bool = False) -> None:
    """Write what is shown now into SHOTS, a PNG. whole: also what is below the window."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    visit.page.screenshot(path=SHOTS / f"{name}.png", full_page=whole, animations="disabled")


def _address(request: Request) -> str:
    return request.url


class Visits:
    """Opens pages in a Chromium, and closes them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.open: list[Visit] = []

    def __call__(
        self, url: str, *, size: tuple[int, int] = (1280, 800), scheme: Scheme = "light"
    ) -> Visit:
        """Return a page, not yet at `url`, in a browser without memory. size: of its window."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme,
            reduced_motion="reduce",
        )  # fmt: skip
        context.set_default_timeout(TIMEOUT_MS)
        visit = Visit(context.new_page(), url.rstrip("/"))
        visit.heard()
        self.open.append(visit)
        return visit


@pytest.fixture
def visits(chromium: Browser, pytestconfig: pytest.Config) -> Iterator[Visits]:
    """Open pages, and close them in the end."""
    opened = Visits(chromium)
    yield opened
    if pytestconfig.getoption("--pictures"):
        for name in SHOWN:
            if (SHOTS / f"{name}.png").exists():
                shutil.copyfile(SHOTS / f"{name}.png", DOCS / f"page-{name}.png")
    for each in opened.open:
        each.page.context.close()
