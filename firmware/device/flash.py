"""Small files on flash that are either the old one or the new one, whenever the power goes.

Littlefs spreads the wear; one `replace` costs about two erases (90 ms). What the node rewrites lies
in the folder `own`: each write makes the list of files of a folder longer, until littlefs writes it
anew, and each look for a file goes through the root's.
"""

import os

from micropython import const

_ENOENT = const(2)  # the same on every port
_EIO = const(5)
_EISDIR = const(21)

# Whether the flash has to be mounted anew: 0: no; 1: before it is used again, as it has refused
# something; 2: before a larger file is written, as main.py has mounted it to be read fast.
_FAST = const(2)
stale = 0
# Up to here littlefs keeps a file inside its folder: where it is mounted to be read fast, also
# files that the ordinary mount could not bear there.
_SMALL = const(128)


def access(what, *arguments):
    """Call `what`, which reads or writes files, and return what that returns.

    All that the node does on flash goes through here. When flash has refused an operation, littlefs
    holds in RAM what is not on flash, and what is written on top of that is lost later although it
    was said to be there (docs/notes/flash.md). So the flash is mounted anew before it is used
    again. OSError: refused, or it cannot be mounted.
    """
    global stale
    if stale == 1:
        settle()
    try:
        return what(*arguments)
    except OSError as error:
        if error.errno not in (_ENOENT, _EISDIR):
            stale = 1
        raise


def settle():
    """Have the flash mounted anew, if it has to be. OSError: it cannot be."""
    global stale
    if stale:
        try:
            from device.mounting import renew

            renew()
        except (ImportError, MemoryError):
            raise OSError(_EIO)
        stale = 0


def read(path, how=None):
    """The whole file as bytes, or what how(file) returns; None when there is none, for certain; a
    folder is no file that can be used: b"". OSError.
    """
    try:
        return access(_file, path, how)
    except OSError as error:
        if error.errno == _EISDIR:
            return b""
        if error.errno != _ENOENT:
            raise
        return None


def replace(path, *pieces):
    """Make `pieces` (bytes) the content of the file. OSError without room: the old one stays.

    littlefs swaps a file in one step by rename, and a close has put all of it on flash before.
    What a cut may leave behind is `path.tmp`, which the next `replace` overwrites.
    """
    if stale == _FAST and sum([len(each) for each in pieces]) > _SMALL:
        settle()
    try:
        access(_file, path, None, *pieces)
    except OSError:
        try:
            access(os.remove, path + ".tmp")
        except OSError:
            pass  # it was not there, or the flash is as bad as the caller is about to hear
        raise


def _file(path, how, *pieces):
    if not pieces:
        with open(path, "rb") as file:
            return how(file) if how else file.read()
    with open(path + ".tmp", "wb") as file:
        for each in pieces:
            file.write(each)
    os.rename(path + ".tmp", path)
