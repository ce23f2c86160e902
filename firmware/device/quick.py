"""Finds the modules of a slot with one look for each. MicroPython looks four times: for a folder,
for NAME.py, for NAME.mpy, and to open that; and each look reads the slot's whole list of files.
"""

import vfs

AT = "/c"
_PACKAGES = ("/commands",)
# What os.stat says: an import asks for the first alone.
_FOLDER, _FILE = (0x4000,) + (0,) * 9, (0x8000,) + (0,) * 9


class Slot:
    """A file system for imports: the byte code in `folder`, and nothing else."""

    def __init__(self, folder):
        self._folder = folder
        self._file = None

    def mount(self, readonly, mkfs):
        """Called when it is mounted."""

    def umount(self):
        """Called when it is not any more."""

    def stat(self, path):
        """What is at `path`. OSError: nothing. A file is opened then, as that comes next."""
        if path in _PACKAGES:
            return _FOLDER
        if not path.endswith(".mpy"):
            raise OSError(2)  # ENOENT
        self._file = open(self._folder + path, "rb")  # noqa: SIM115 (whoever imports it closes it)
        return _FILE

    def open(self, path, mode):
        """The file that was asked for last."""
        file, self._file = self._file, None
        return file


def begin(path):
    """Have the slot that comes first on `path` (sys.path) looked through like this. OSError."""
    try:
        vfs.umount(AT)  # the slot that could not start
    except OSError:
        pass
    vfs.mount(Slot(path[0]), AT)
    path.insert(0, AT)
