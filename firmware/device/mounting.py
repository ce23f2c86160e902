"""Mounts the flash anew in place of itself: what littlefs had in RAM is gone, and no file with it.

Imported when flash has refused something (see flash.py), which most nodes never see.
"""

import gc
import os

import vfs

ROOT = "/"


def renew():
    """Put a fresh mount of the chip's flash where it is mounted. OSError: it cannot be read, and
    the mount stays. On a laptop there is nothing to do: its files are the operating system's.

    A file that flash refused while it was closed is still open for littlefs, and is closed once
    more by the garbage collector: now, while nothing has been written that this could ruin. What
    else is open can be read on.
    """
    try:
        from flashbdev import bdev
    except ImportError:
        return
    gc.collect()
    fresh = vfs.VfsLfs2(bdev)
    folder = os.getcwd()
    try:
        vfs.umount(ROOT)
    except OSError:
        pass  # it is gone already: last time there was no heap for the mount that follows
    vfs.mount(fresh, ROOT)
    os.chdir(folder)
