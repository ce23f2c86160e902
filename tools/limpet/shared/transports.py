"""How a file of known_files.py comes here: from a package index, by npm, or from a web site.

Indexes, folders and proxies are those that pip is told to use on this machine, npm's are npm's own.
What it downloads is not checked here, but for its size.
"""

import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple
from requests import ConnectionError, HTTPError, ReadTimeout, RequestException, Session, Timeout
from urllib3.exceptions import HTTPError as Broken

from limpet.shared import installing
from limpet.shared.known_files import CONNECT, INDEX, NPM, File
from limpet.shared.problem import Problem

TRIES = 3
# To connect, and between two pieces.
SILENCE_S = (10.0, 30.0)
# For one file, all tries together.
LIMIT_S = 300.0
_PIECE = 1 << 16

Say = Callable[[str], None]


def of(file: File) -> Callable[[File, Path, Say], None]:
    """Return what writes a file to a path, saying how far it is. It raises Problem."""
    return {INDEX: _from_index, NPM: _from_npm}.get(file.source, _from_site)


def _from_site(file: File, path: Path, say: Say) -> None:
    session = _session(installing.settings(sys.executable))
    try:
        _download(session, file.source + file.name, file, path, say)
    except (RequestException, Broken) as error:
        raise _problem(file, error) from None


def _from_index(file: File, path: Path, say: Say) -> None:
    told = installing.settings(sys.executable)
    for folder in told.get("find-links", "").split():
        if (found := Path(folder.removeprefix("file://")) / file.name).is_file():
            shutil.copyfile(found, path)
            return
    session = _session(told)
    failed: Exception | None = None
    # As pip does, in all of them; the first that has it will do, for it is checked by its hash.
    for url in _indexes(told):
        try:
            with PyPISimple(url, session=session) as index:
                page = index.get_project_page(file.project, timeout=SILENCE_S)
            for package in page.packages:
                if package.filename == file.name:
                    return _download(session, package.url, file, path, say)
        except NoSuchProjectError:
            continue
        except (RequestException, Broken) as error:
            failed = failed or error
    if failed:
        raise _problem(file, failed)
    raise Problem(
        f"{INDEX.capitalize()} has no {file.name}.",
        f"Tell pip of one that has it{', or ' if file.instead else ''}{file.instead}.",
    )


def _from_npm(file: File, path: Path, say: Say) -> None:
    line = ["npm", "pack", "--silent", "--ignore-scripts", f"{file.project}@{file.version}"]
    try:
        done = subprocess.run(
            line, cwd=path.parent, capture_output=True, text=True, timeout=LIMIT_S
        )
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    except subprocess.TimeoutExpired:
        said = [f"nothing came for {LIMIT_S:g} s"]
    if not path.is_file():
        raise Problem(f"npm did not succeed: {said[0]}", f"{CONNECT}.")


def _indexes(told: dict[str, str]) -> list[str]:
    """The indexes that this machine's pip asks, or its uv, where that has no pip."""
    if told.get("no-index", "0") not in ("0", "false", "False"):
        return []
    uvs = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("UV_INDEX_URL")
    first = told.get("index-url") or uvs or PYPI_SIMPLE_ENDPOINT
    return [first, *told.get("extra-index-url", "").split()]


def _session(told: dict[str, str]) -> Session:
    """A session that reaches others as this machine's pip does."""
    session = Session()
    # The system's authorities, as pip trusts them: an office's own proxy is known there, and not to
    # requests, which brings its own list. Variables such as REQUESTS_CA_BUNDLE still come first.
    paths = ssl.get_default_verify_paths()
    if not any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        session.verify = told.get("cert") or paths.cafile or paths.capath or True
    if "proxy" in told:
        session.proxies = {"http": told["proxy"], "https": told["proxy"]}
    return session


def _download(session: Session, url: str, file: File, path: Path, say: Say) -> None:
    """Write what `url` gives to `path`; begins anew, TRIES in all, where the connection breaks."""
    deadline = time.monotonic() + LIMIT_S
    for tries_left in reversed(range(TRIES)):
        try:
            return _try(session, url, file, path, say, deadline)
        except (ConnectionError, Timeout, Broken):
            if not tries_left or time.monotonic() > deadline:
                raise


def _try(session: Session, url: str, file: File, path: Path, say: Say, deadline: float) -> None:
    # As it is, so that its size is the one known.
    headers = {"Accept-Encoding": "identity"}
    with session.get(url, stream=True, timeout=SILENCE_S, headers=headers) as answer:
        answer.raise_for_status()
        with open(path, "wb") as out:
            # Of what is longer than the file known no more than that shows is taken.
            while out.tell() <= file.size and (piece := answer.raw.read1(_PIECE)):
                out.write(piece)
                say(f"{100 * out.tell() // file.size} %")
                if time.monotonic() > deadline:
                    raise ReadTimeout


def _problem(file: File, error: Exception) -> Problem:
    # Not its words: they hold the URL, and an index's may hold a password.
    why = type(error).__name__
    if isinstance(error, HTTPError) and error.response is not None:
        why = f"{error.response.status_code} {error.response.reason}"
    elif isinstance(error, Timeout):
        why = "nothing came in time"
    return Problem(f"{file.what} could not be had ({why}).", file.remedy)
