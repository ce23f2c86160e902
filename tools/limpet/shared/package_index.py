"""Files from the package index, by whichever one pip is told to use on this machine.

It will NOT check what it downloads: who asks knows the hash.
"""

import os
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

from pypi_simple import PYPI_SIMPLE_ENDPOINT, NoSuchProjectError, PyPISimple
from requests import RequestException, Session

from limpet.shared import installing
from limpet.shared.problem import Problem


def download(project: str, version: str, wanted: Callable[[str], bool], to: Path) -> None:
    """Write the first file of that version whose name is `wanted` to `to`. Raises Problem."""
    told = installing.settings(sys.executable)
    session = Session()
    # The system's authorities, as pip trusts them: an office's own proxy is known there, and not to
    # requests, which brings its own list. Variables such as REQUESTS_CA_BUNDLE still come first.
    paths = ssl.get_default_verify_paths()
    if not any(os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")):
        session.verify = told.get("cert") or paths.cafile or paths.capath or True
    if "proxy" in told:
        session.proxies = {"http": told["proxy"], "https": told["proxy"]}
    failed: RequestException | None = None
    # As pip does, in all of them; the first that has it will do, for it is checked by its hash.
    indexes = [told.get("index-url") or PYPI_SIMPLE_ENDPOINT]
    for url in indexes + told.get("extra-index-url", "").split():
        try:
            with PyPISimple(url, session=session) as index:
                for package in index.get_project_page(project).packages:
                    if package.version == version and wanted(package.filename):
                        index.download_package(package, to, verify=False)
                        return
        except NoSuchProjectError:
            continue
        except RequestException as error:
            failed = failed or error
    if failed:
        raise Problem(
            f"{project} could not be had from the package index ({type(failed).__name__}).",
            "Connect and start again. Only this first time needs a network.",
        ) from failed
    raise Problem(f"The package index has no {project} {version}.", "Name one that is here.")
