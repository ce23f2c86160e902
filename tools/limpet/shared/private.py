"""Files and folders for the owner alone: the mode is there from the first byte, never set
afterwards.

The mode of what is there already stays: that was somebody's decision.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


def folder(path: Path) -> Path:
    """Return `path`, made with mode 0700 when it is missing; its parents are made as usual."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    return path


def write(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data` in one step, mode 0600. Its folder has to be there."""
    # mkstemp opens with O_EXCL and 0600; a reader sees the old file or the new one, never half of
    # it.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, mode 0700, that becomes `path` when the block ends without an error.

    So `path` is either complete or not there. Raises FileExistsError when somebody else was faster.
    """
    folder(path.parent)
    draft = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield draft
        try:
            # Onto a folder with something in it a rename fails: what is there is never overwritten.
            os.rename(draft, path)
        except OSError:
            raise FileExistsError(f"{path} is there already") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
