"""The end of a record log that is empty and not to be gone on with; see recordlog.py. Imported when
there is one.
"""

import os


def remove(log, heir):
    """Remove the folder of `log`, which holds no record. What it has dropped is counted by `heir`
    from now on, another RecordLog. OSError: not all of it is done, and can be once more, after a
    reset as well. A cut may make it count twice.
    """
    heir.dropped += log.dropped
    log.dropped = 0
    heir.sync(True)
    log.access(_removed, log.folder)


def _removed(folder):
    # Segments first: the state says that they hold nothing. The note last, so that who finds a rest
    # knows whose it is.
    names = sorted(os.listdir(folder))
    for name in [each for each in names if each != "note"] + ["note"]:
        if name in names:
            os.remove(folder + "/" + name)
    os.rmdir(folder)
