"""The end of a record log that is empty and not to be gone on with; see recordlog.py. Imported when
there is one.

What it has dropped is counted by its heir from then on, another log, exactly once, whenever the
power goes: the folder gets a name first that says what the two have dropped together.
"""

import os


def remove(log, heir):
    """Remove the folder of `log`, which holds no record; its `dropped` goes to `heir`. OSError: not
    all of it is done, and can be once more, or by `go_on` after a reset.
    """
    total = heir.dropped + log.dropped
    folder = "%s~%d" % (heir.folder, total)
    try:
        log.access(os.rename, log.folder, folder)
    except OSError:
        log.access(os.stat, folder)  # flash may have refused what it has done nevertheless
    log.folder, log.dropped = folder, 0
    _end(heir, total, folder)


def go_on(folder, heir, access):
    """Do what is left of a `remove` that was cut: of a folder whose name is that of the heir's
    folder, "~" and a number. heir: None if that is gone as well. OSError: as above.
    """
    if heir:
        _end(heir, max(heir.dropped, int(folder.split("~")[1])), folder)
    else:
        access(_removed, folder)


def _end(heir, total, folder):
    heir.dropped = total
    heir.sync(True)
    heir.access(_removed, folder)


def _removed(folder):
    for name in os.listdir(folder):
        os.remove(folder + "/" + name)
    os.rmdir(folder)
