"""One way to get a file that others made, and to take it out of its archive.

Nothing is opened before its hash was checked. filling.py puts what is made of it in place. Only the
file that is known is taken, whoever signed another one, and nobody looks for a newer one.
"""

import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from limpet.shared.known_files import NOT_KNOWN, File, check
from limpet.shared.problem import Problem
from limpet.shared.progress import Line


def fetched(file: File, folder: Path) -> Path:
    """Return the path of `file` in `folder`, downloaded and checked. Raises Problem."""
    # Imported here: it takes 200 ms, and most starts need it not.
    from limpet.shared import transports

    path = folder / file.name
    line = Line(f"Getting {file.what}")
    try:
        transports.of(file)(file, path, line.say)
    finally:
        line.end()
    check(path, file.sha256)
    return path


def unpack(
    archive: Path, folder: Path, place: Callable[[str], str | None] = lambda name: name
) -> list[str]:
    """Write the files of a checked .tar.gz, .tgz, .zip or .whl into `folder`, remove the archive,
    and return where they went.

    `place` says of each name in the archive where it goes, relative to `folder`; None leaves it
    out. Only regular files are written, with this user's usual mode, and only below `folder`.
    """
    went = []
    for name, source in _files(archive):
        to = place(name)
        if to is None:
            continue
        path = folder / to
        if not path.resolve().is_relative_to(folder.resolve()):
            raise Problem(f"{archive.name} holds {name}, which leads elsewhere.", NOT_KNOWN)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as target:
            shutil.copyfileobj(source, target)
        went.append(to)
    archive.unlink()
    return went


def _files(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield name and content of each regular file of an archive."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for each in opened.infolist():
                if not each.is_dir():
                    yield each.filename, opened.open(each)
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isreg():
                content = tar.extractfile(member)
                assert content
                yield member.name, content
