"""umqtt.simple and umqtt.robust from the package index, checked by hash, never copied into git.

pip cannot build them: robust's archive holds a dangling link, simple's has no setup.py.
"""

import os
from pathlib import Path

from limpet.shared.fetching import fetched, unpack
from limpet.shared.filling import filled_once
from limpet.shared.known_files import INDEX, File
from limpet.shared.paths import CACHE
from limpet.shared.problem import Problem


def _archive(module: str, version: str, size: int, sha256: str) -> File:
    project = f"micropython-umqtt.{module}"
    name, instead = f"{project}-{version}.tar.gz", "name one that is here: UMQTT=/path"
    return File(f"umqtt.{module}", INDEX, name, size, sha256, project, version, instead)


FILES = {
    "simple": _archive(
        "simple", "1.3.4", 4048, "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"
    ),
    "robust": _archive(
        "robust", "1.0", 1511, "22a1b8c8e1128281efb13b3020927d07e33c5b747869da2cd77d37983a9ea002"
    ),
}


def umqtt_dir() -> Path:
    """The folder to put on the node's path so that it can `import umqtt.robust`; filled once.

    UMQTT=/path names another one: firmware carries later versions than the package index has.
    """
    if told := os.environ.get("UMQTT"):
        if not (Path(told) / "umqtt" / "robust.py").is_file():
            raise Problem(
                f"There is no umqtt/robust.py in UMQTT={told}.", "Name its parent folder."
            )
        return Path(told).resolve()
    folder = CACHE / "umqtt"
    with filled_once(folder) as new:
        if new:
            for module, file in FILES.items():
                take(module, fetched(file, new), new)
    return folder


def take(module: str, archive: Path, folder: Path) -> None:
    """Write umqtt/<module>.py, and nothing else, of a checked `archive` into `folder`."""
    wanted = f"umqtt/{module}.py"

    def place(name: str) -> str | None:
        # Below a folder that names the version.
        return wanted if name.split("/", 1)[-1] == wanted else None

    if not unpack(archive, folder, place):
        raise Problem(f"The archive of umqtt.{module} holds no {wanted}.", "Say so in an issue.")
