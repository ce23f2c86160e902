"""A file that has its name only when it is whole, and on the disk."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from limpet.shared.problem import Problem


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield the name of an empty file beside `path`, which takes its place when the block ends
    without an error, and goes otherwise. Its mode is that of any new file of the user's.

    Raises Problem where there is no such folder.
    """
    if path.is_dir() or not path.parent.is_dir():
        cause = "is a folder" if path.is_dir() else "is in a folder that is not there"
        raise Problem(f"{path} {cause}.", "Name a file for --out.")
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    draft = Path(name)
    try:
        yield draft
        with open(draft, "rb+") as file:
            os.fsync(file.fileno())
        if os.name != "nt":
            mask = os.umask(0)
            os.umask(mask)
            draft.chmod(0o666 & ~mask)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
