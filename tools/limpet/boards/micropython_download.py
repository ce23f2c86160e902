"""MicroPython's own image for a Board, found and downloaded by mpflash, and kept in the cache.

mpflash brings 60 packages that nothing else needs, so it gets an environment of its own, made when
it is first used from the mpflash.lock beside this file. It will NOT be run where the image is there
already.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from limpet.boards.board_facts import BoardFacts
from limpet.boards.micropython_image import opened
from limpet.shared.filling import filled_once
from limpet.shared.installing import clean, install
from limpet.shared.paths import BUILD
from limpet.shared.problem import Problem
from limpet.shared.progress import Line, followed

# The version that the byte code compiler has, and the node was tried with.
VERSION = "1.29.0"
LOCK = Path(__file__).with_name("mpflash.lock")
TIMEOUT_S = 300  # mpflash itself waits for ever for a server that says nothing
# MicroPython's names for what is on these boards.
_NAMES = {"esp32": "ESP32_GENERIC", "esp32s3": "ESP32_GENERIC_S3", "esp32c3": "ESP32_GENERIC_C3"}
_REMEDY = "Connect and start again, or download it by hand and name it: FIRMWARE={}."


def downloaded(facts: BoardFacts) -> Path:
    """Return the image for a Board, downloaded once. It has been checked.

    MPFLASH=/path names another mpflash. Raises Problem when there is no network.
    """
    board = _NAMES[facts.chip]
    name = f"{board}{'-OTA' if facts.ota else ''}-v{VERSION}.bin"
    folder = BUILD / "micropython" / name.removesuffix(".bin")
    with filled_once(folder) as new:
        if new:
            _run(_mpflash(name), board, new, name)
            found = new / "esp32" / name
            if not found.is_file():
                raise Problem(f"{name} could not be downloaded by mpflash.", _REMEDY.format(name))
            # mpflash saves what the server says, be it a page of excuses.
            opened(found, facts)
            os.replace(found, new / name)
    return folder / name


def _run(mpflash: list[str], board: str, folder: Path, name: str) -> None:
    """Have mpflash fill `folder`. It ends with 0 in any case: the file tells whether it did."""
    line = [*mpflash, "--no-interactive", "download", "--version", VERSION, "--board", board]
    # The variable and not --dir: mpflash opens its database before it reads its arguments, and
    # would make a folder among the user's downloads.
    environment = {**clean(os.environ), "MPFLASH_FIRMWARE": str(folder)}
    told = Line(f"Downloading {name}")
    try:
        followed(line, lambda _: told.say(""), env=environment, limit_s=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        raise Problem(
            f"{name} did not arrive within {TIMEOUT_S} s.", _REMEDY.format(name)
        ) from None
    except OSError as error:
        raise Problem(f"mpflash cannot be run: {error.strerror}.", "Correct MPFLASH.") from None
    finally:
        told.end()


def _mpflash(name: str) -> list[str]:
    """The start of the command line that runs mpflash; its environment is made if need be."""
    if told := os.environ.get("MPFLASH"):
        return [told]
    folder = BUILD / "mpflash"
    with filled_once(folder) as new:
        if new:
            python = str(new / "bin" / "python")
            # Some come as source: the build backend of the lock builds them, no other.
            backend = new / "backend.txt"
            wanted = re.search(r"^setuptools==.*(\n .*)*", LOCK.read_text(), re.MULTILINE)
            assert wanted
            backend.write_text(wanted[0] + "\n")
            options = ("--retries", "1", "--require-hashes")
            locked = ("--no-build-isolation", "-r", str(LOCK))
            line = Line("Making a place for mpflash, which downloads MicroPython")
            code, _ = followed([sys.executable, "-m", "venv", str(new)], lambda _: line.say(""))
            line.end()
            for words in (("-r", str(backend)), locked):
                if not code:
                    code, _ = install(python, Line("Getting mpflash, once"), *options, *words)
            if code:
                raise Problem(
                    "mpflash, which downloads MicroPython, could not be had from the index.",
                    _REMEDY.format(name),
                )
    # Not its script, whose first line names the folder in which it was made.
    return [str(folder / "bin" / "python"), "-m", "mpflash.cli_main"]
