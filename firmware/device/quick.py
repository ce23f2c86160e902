"""Finds the modules of a slot, which lie in one file, one behind the other. MicroPython would look
for each in folders, four times, and each look reads the folders' whole lists of files.

    "LM"  number of modules (2 bytes)  { CRC-32 of a path (4)  where that begins (4) }  modules

Little-endian; the path is the module's file in the slot, "/link.mpy". limpet/boards/archive.py
makes the file.
"""

from binascii import crc32

import vfs

AT = "/c"
_ARCHIVE = "/modules"
_PACKAGES = ("/commands",)
# What os.stat says: an import asks for the first alone.
_FOLDER, _FILE = (0x4000,) + (0,) * 9, (0x8000,) + (0,) * 9
slot = None  # the one that is mounted


class Slot:
    """A file system for imports: the modules in the slot `folder`, and nothing else. OSError: there
    is no such file.

    index: what the file begins with, as long as it is worth its heap; None: it is read each time.
    """

    def __init__(self, folder):
        self._path = folder + _ARCHIVE
        self._file = None
        with open(self._path, "rb") as file:
            self.index = _index(file)

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
        file = open(self._path, "rb")  # noqa: SIM115 (whoever imports it closes it)
        index, key, at = self.index or _index(file), crc32(path).to_bytes(4, "little"), 0
        while at % 8 or index[at : at + 4] != key:
            at = index.find(key, at + 1)
            if at < 0:
                file.close()
                raise OSError(2)
        file.seek(int.from_bytes(index[at + 4 : at + 8], "little"))
        self._file = file
        return _FILE

    def open(self, path, mode):
        """The file that was asked for last, where the module begins: none of it says where it ends
        but the module itself.
        """
        file, self._file = self._file, None
        return file


def _index(file):
    return file.read(int.from_bytes(file.read(4)[2:], "little") * 8)


def begin(path):
    """Have the slot that comes first on `path` (sys.path) looked through like this, and then what
    is in the chip's firmware. OSError.
    """
    global slot
    try:
        vfs.umount(AT)  # the slot that could not start
    except OSError:
        pass
    slot = Slot(path[0])
    vfs.mount(slot, AT)
    path[:0] = [AT] + [each for each in path if each in (".frozen", "/rom")]
