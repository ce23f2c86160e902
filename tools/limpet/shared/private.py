"""Files and folders for the owner alone: the mode is there from the first byte, never set
afterwards. What was written is on the disk before it has its name: a power cut leaves no empty key.

The mode of what is there already stays: that was somebody's decision.
"""

import contextlib
import errno
import os
import re
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path


def folder(path: Path) -> Path:
    """Return `path`, made with mode 0700 when it is missing; its parents are made as usual. What is
    there and is none is a NotADirectoryError with its name.
    """
    for parent in (*reversed(path.parents), path):
        if parent.exists() and not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(parent))
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
        _sync(path.parent)
    return path


def write(path: Path, data: bytes) -> None:
    """Replace the file `path` by `data` in one step, mode 0600. Its folder has to be there."""
    # mkstemp opens with O_EXCL and 0600; a reader sees the old file or the new one, never half of
    # it.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):  # Ctrl-C right behind the rename
            os.unlink(name)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a full disk does not say which file had no room
        raise
    _sync(path.parent)


def read(path: Path) -> bytes:
    """Return the bytes of a file. What is no file, such as a pipe that nobody writes into, is an
    OSError at once.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no file", str(path))
        return file.read()


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
        _sync(path.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def new_folders(contents: Mapping[Path, Mapping[str, bytes]]) -> list[Path]:
    """Make many folders, by path, with these files, mode 0700 and 0600; return those that were
    made: one that is there stays as it is. Each is either complete or not there.

    They wait for the disk together: apart, each file does, which is some ms times five per folder.
    """
    drafts: dict[Path, Path] = {}
    made = []
    try:
        for path, files in contents.items():
            draft = drafts[path] = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
            for name, data in files.items():
                descriptor = os.open(draft / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
        if sys.platform != "win32":
            os.sync()
        for path, draft in drafts.items():
            try:
                os.rename(draft, path)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                    raise
            else:
                made.append(path)
    finally:
        for draft in drafts.values():
            shutil.rmtree(draft, ignore_errors=True)
        for parent in {path.parent for path in made}:
            _sync(parent)
    return made


def is_draft(name: str) -> bool:
    """Whether a file or folder of this name is one that was being written, under a name of its own.

    It is nothing that anybody reads; a power cut leaves it, and nobody else's work is called so.
    """
    return re.fullmatch(r"\..+\.[a-z0-9_]{8}", name) is not None


def sweep(folder: Path, older_s: float = 0) -> None:
    """Remove what a power cut has left of being written in `folder`, if it is `older_s` seconds
    old. With 0 to be called while nobody else writes there.
    """
    last = time.time() - older_s
    with contextlib.suppress(FileNotFoundError):
        for path in list(folder.iterdir()):
            if is_draft(path.name) and path.lstat().st_mtime <= last:
                remove(path)


def remove(path: Path) -> None:
    """Remove a file or a folder, with all in it, if it is there; of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Put the names in `folder` on the disk. Windows has no way to; it does so by itself."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a network's file system that cannot
            raise
    finally:
        os.close(descriptor)
