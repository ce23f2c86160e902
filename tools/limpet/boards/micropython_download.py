"""MicroPython's own image for a Board, downloaded from MicroPython's site, and kept in the cache.

The site says no hashes. These are of files that were downloaded in September 2026: of each at
least two projects that have nothing to do with one another have written down the same.
"""

from pathlib import Path

from limpet.boards.board_facts import BoardFacts
from limpet.boards.micropython_image import opened
from limpet.shared.fetching import fetched
from limpet.shared.filling import filled_once
from limpet.shared.known_files import File
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem

# The version that the byte code compiler has, and the node was tried with; the day is in its names.
VERSION = "1.29.0"
DAY = "20260824"
SITE = "https://micropython.org/resources/firmware/"
# Of each chip: MicroPython's name for what is on these boards, size and SHA-256 of its image.
IMAGES = {
    "esp32": (
        "ESP32_GENERIC",
        1_790_544,
        "e67ad6015a0a504c1fec9aa9bbf589d0432ed28e62546f4f8dd8a147f8bd95f6",
    ),
    "esp32s3": (
        "ESP32_GENERIC_S3",
        1_783_296,
        "1dd9dcd27ba2d6a1cb7f7b49a063f46d3d807d68b0151161233920228285e300",
    ),
    "esp32c3": (
        "ESP32_GENERIC_C3",
        1_754_736,
        "bf72ed9eb88ad3a8f49d02c3d371f9ea34c90a8a303aeb9e324d8efd4a2a655a",
    ),
}


def downloaded(facts: BoardFacts) -> Path:
    """Return the image for a Board, downloaded once. It has been checked.

    Raises Problem when there is no network, and for a Board with OTA, whose image is not known.
    """
    board, size, sha256 = IMAGES[facts.chip]
    name = f"{board}{'-OTA' if facts.ota else ''}-{DAY}-v{VERSION}.bin"
    if facts.ota:
        raise Problem(
            f"{name} could not be had: its hash is not known.",
            f"Download it by hand and name it: --firmware {name}.",
        )
    folder = CACHE / "micropython" / name.removesuffix(".bin")
    with filled_once(folder) as new:
        if new:
            instead = f"download it by hand and name it: --firmware {name}"
            file = File(name, SITE, name, size, sha256, instead=instead)
            opened(fetched(file, new), facts)
    return folder / name
