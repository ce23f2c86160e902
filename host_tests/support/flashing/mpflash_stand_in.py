#!/usr/bin/env python3
"""Stands for mpflash 1.29.0, which needs MicroPython's download site, on a laptop without one.

It takes the one command line that is asked of it and nothing else, where mpflash would take more or
ask its user. What it does then the file named in STAND_IN says: first a line with a word, then the
image that the site has. As the real one, it ends with 0 whatever happens, saves what it is sent, be
it a page of excuses, and names an image by board, variant and version alone.

    found    the image        page     a page instead of it
    none     nothing: no network, or no such version        stalled    nothing, and it does not end
"""

import os
import sys
import time
from pathlib import Path

VERSION = "1.29.0"
BOARDS = ("ESP32_GENERIC", "ESP32_GENERIC_S3", "ESP32_GENERIC_C3")


def main() -> None:
    """Do as told."""
    match sys.argv[1:]:
        case ["--no-interactive", "download", "--version", version, "--board", board]:
            if version != VERSION or board not in BOARDS:
                sys.exit(f"{board} {version} is not on the site")
        case other:
            sys.exit(f"not the command line that is known to work: {other}")
    folder = Path(os.environ["MPFLASH_FIRMWARE"])
    if not folder.is_dir():
        sys.exit("it would take the user's own Downloads folder instead")
    (folder / "mpflash.db").touch()
    told = Path(os.environ["STAND_IN"])
    word, _, image = told.read_bytes().partition(b"\n")
    with open(told.with_suffix(".calls"), "a") as calls:
        calls.write(f"{board}\n")
    if word == b"stalled":
        time.sleep(600)
    if word in (b"found", b"page"):
        (folder / "esp32").mkdir(exist_ok=True)
        for variant in ("", "-OTA"):
            path = folder / "esp32" / f"{board}{variant}-v{version}.bin"
            path.write_bytes(image if word == b"found" else b"<!DOCTYPE html>")


if __name__ == "__main__":
    main()
