"""umqtt.simple and umqtt.robust from the package index, checked by hash, never copied into git.

pip cannot build them: robust's archive holds a dangling link, simple's has no setup.py.
"""

import hashlib
import os
import sys
import tarfile
from pathlib import Path

from limpet.shared.filling import filled_once
from limpet.shared.paths import BUILD
from limpet.shared.problem import Problem

# What is wanted of which project, version and file. The hashes are those of the archives.
FILES = {
    "simple": ("1.3.4", "b6a2520239e3992c63a7de9370ee9b3d9d27819a90359c521f1c0f7ccab8d12f"),
    "robust": ("1.0", "22a1b8c8e1128281efb13b3020927d07e33c5b747869da2cd77d37983a9ea002"),
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
    folder = BUILD / "umqtt"
    with filled_once(folder) as new:
        if new:
            print("limpet: Getting umqtt.simple and umqtt.robust", file=sys.stderr, flush=True)
            for module, (version, sha256) in FILES.items():
                archive = new / "archive.tar.gz"
                _download(f"micropython-umqtt.{module}", version, archive)
                unpack(archive, sha256, module, new)
                archive.unlink()
    return folder


def unpack(archive: Path, sha256: str, module: str, folder: Path) -> None:
    """Write umqtt/<module>.py of `archive` into `folder`. Raises Problem if the hash is another."""
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != sha256:
        raise Problem(
            f"The archive of umqtt.{module} is not the one known: its SHA-256 is {found}.",
            "Do not use it: find out what stands between this machine and its package index.",
        )
    wanted = f"umqtt/{module}.py"
    with tarfile.open(archive) as tar:
        for member in tar:
            # Only this one, only a regular file: where it goes is our choice, not the archive's.
            if member.name.split("/", 1)[-1] == wanted and member.isreg():
                content = tar.extractfile(member)
                assert content
                (folder / "umqtt").mkdir(exist_ok=True)
                (folder / wanted).write_bytes(content.read())
                return
    raise Problem(f"The archive of umqtt.{module} holds no {wanted}.", "Say so in an issue.")


def _download(project: str, version: str, to: Path) -> None:
    # Imported here: most starts need it not, and it takes 200 ms.
    from limpet.shared.package_index import download

    download(project, version, lambda name: name.endswith(".tar.gz"), to)
