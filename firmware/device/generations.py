"""The logs of Readings on flash: one for each layout that this node's Readings have had, as an
update or another sensor changes it. Asked at boot, and let go of.

A log is a folder, `readings-FORMAT-SIZE-CRC`: the format number of what is in it, the bytes of a
record, and a CRC-32 of its file `note`, in which the fields stand with which it is written, one a
line: name, decimals, struct's code. Any version can read that much of a folder's name, and count
what it does not understand. `readings`, without all that, is of the versions that had two fields.

1. The node's own log is the one whose name its layout gives; all others are read only. So a cut
   leaves a Reading in one log, and a node that falls back to older code goes on in an older log.
2. What is drained in its own format is removed when it is empty (node/readings/drains.py).
3. A format number that this code does not know, or fields that cannot be read: left alone, counted.
"""

import os
from binascii import crc32
from struct import calcsize

from micropython import const
from node.readings import layouts
from node.readings.backlog import Backlog
from node.readings.telemetry import Telemetry
from recordlog import RecordLog

from device.flash import access, read

_STEM = "readings"
_FORMAT = const(1)
_FIRST = (("temperature", 1, "h"), ("humidity", 1, "h"))  # what `readings` has
# Bytes that Readings leave free: for two slots of code, up to 44 blocks each; and so for config,
# Commands and crashes, whatever an outage brings.
_SPARE = const(2 * 44 * 4096)
_BLOCK = const(4096)
_NO_SPACE = const(28)  # see backlog.py
_FOLDER = const(0x4000)  # in what ilistdir says
_ALL = const(1 << 24)  # records; a log that is only drained has no bound of its own


def opened(encode, limits, rtc_state, heap=None):
    """The Backlog of all logs: the last of its `stores` is the node's own one, and `foreign` is the
    number of records that are left alone. encode: the node's Telemetry. limits: the config. heap:
    the chip's own, see Board.idf_heap(), or None: where there is one batches are short, as a longer
    piece would be taken from it. OSError: flash cannot be read.
    """
    name, note = named(encode.fields, encode.format)
    folders = [each[0] for each in _entries(".") if each[1] == _FOLDER]
    older, cut, foreign = [], [], 0
    for each in sorted([each for each in folders if each.split("-")[0] == _STEM]):
        fields = _FIRST if each == _STEM else _fields(each)
        if each == name:
            pass
        elif "~" in each:
            cut.append(each)  # in the middle of its removal, see lib/recordlog_removing.py
        elif fields is None:
            foreign += _count(each)
            _tidy(each)
        else:
            made = Telemetry("", encode.qos, encode.boot, encode.clock, layouts.of(fields))
            made.topic, made.backlog = encode.topic, encode.backlog
            older.append((RecordLog(each, made.size, _ALL, None, access), made))
    slot = encode.size + 4
    own = held(name) if name in folders else 0
    # No fewer than there are: records of another size are no reason to drop any.
    sizes = [held(log.folder) for log, _ in older]
    most = max((own + sum(sizes)) // slot, own // slot + sum([len(log) for log, _ in older]))
    most = readings_max(limits, slot, most)
    while True:
        try:
            log = RecordLog(name, encode.size, most, None, access, note)
            break
        except OSError as error:  # a flash that the older ones have filled, down to the last folder
            if error.errno != _NO_SPACE or not any(each.drop_oldest() for each, _ in older):
                raise
    backlog = Backlog(log, encode, limits, rtc_state)
    backlog.foreign = foreign
    if heap:
        backlog.batch_max = layouts.room(encode.fields)
    logs = {each.folder: each for each in [log] + [each for each, _ in older]}
    for each in cut:
        try:
            from recordlog_removing import go_on

            go_on(each, logs.get(each.split("~")[0]), access)
        except OSError:
            backlog.errors += 1  # the next boot goes on
    if older:
        from node.readings.drains import Elders

        Elders(backlog, older, most)
    return backlog


def named(fields, form):
    """(name of the folder, its `note`) for Readings of this layout (see layouts.py)."""
    note = ""
    for (name, unit, _), code in zip(fields, form[-len(fields) :]):
        note += "%s %d %s\n" % (name, len(str(unit)) - 1, code)
    note = note.encode()
    return "%s-%d-%d-%08x" % (_STEM, _FORMAT, calcsize(form), crc32(note)), note


def readings_max(limits, slot, held):
    """How many Readings flash may hold, `slot` bytes each: as many as the config says, or what is
    `held` already and what else there is room for. OSError.
    """
    stats = access(os.statvfs, ".")
    blocks = max(stats[1] * stats[4] - _SPARE, 2 * _BLOCK) // _BLOCK
    return min(limits.outbox_readings, held + blocks * (_BLOCK // slot))


def held(folder):
    """Bytes of the files in it."""
    return sum([each[3] for each in _entries(folder) if len(each) > 3])


def _entries(folder):
    return access(lambda: list(os.ilistdir(folder)))


def _fields(name):
    """Those of the log of that name, as layouts.of takes them; None where that cannot be told."""
    note = read(name + "/note")
    if note is None:
        return None
    try:
        lines = [line.split() for line in note.decode().split("\n")[:-1]]
        fields = [(each, int(decimals), code) for each, decimals, code in lines]
        return fields if named(*layouts.of(fields)) == (name, note) else None
    except (KeyError, ValueError):  # UnicodeError is a ValueError
        return None


def _tidy(name):
    """Remove a log that was never used: a cut can leave its folder, and the note half written."""
    names = [each[0] for each in _entries(name)]
    if names in ([], ["note.tmp"]):
        for each in names:
            access(os.remove, name + "/" + each)
        access(os.rmdir, name)


def _count(name):
    """How many records a log holds that is left alone; 0 where even that cannot be told."""
    from recordlog_opening import found

    try:
        first, end = access(found, name, int(name.split("-")[2]) + 4)[:2]
    except (IndexError, OSError, ValueError):
        return 0
    return end - first
