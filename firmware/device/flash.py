"""Small files on flash that are either the old one or the new one, whenever the power goes.

It will NOT make folders, append, or spread wear by itself: littlefs does that, and one `replace`
costs about two erases (90 ms).
"""

import errno
import os


def read(path):
    """The whole file as bytes, or None when there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        return None


def missing(path):
    """Whether there is no such file, for certain: one that cannot be read is there."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno == errno.ENOENT
    return False


def replace(path, data):
    """Make `data` (bytes) the content of the file. OSError without room: the old one stays.

    littlefs swaps a file in one step by rename, and a close has put all of it on flash before.
    What a cut may leave behind is `path.tmp`, which the next `replace` overwrites.
    """
    scratch = path + ".tmp"
    try:
        with open(scratch, "wb") as file:
            file.write(data)
        os.rename(scratch, path)
    except OSError:
        try:
            os.remove(scratch)
        except OSError:
            pass  # it was not there, or the flash is as bad as the caller is about to hear
        raise
