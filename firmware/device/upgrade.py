"""The one file that a node had before its identity and its settings were two, config.json, becomes
those. Nobody needs to have visited it for that.

Imported when one of these is missing. It checks nothing but that it is a JSON object: config.py
checks what it has made, and names what is wrong.
"""

import gc
import os

from micropython import const
from node.config.written import encoded, sealed
from node.shared.strictjson import Shape
from node.shared.unimport import unimport

from device.boots import slot_in_use
from device.flash import access, read, replace
from device.power import reset

# Which of its fields are settings: the format is as it was, for ever.
_SETTINGS = (
    "interval_s keepalive_s handshake_s window clean_session telemetry_qos command_qos max_qos "
    "retain hold_unheard outbox_readings commit_after_s backlog_rate payload_max health_s "
    "ntp_servers no_time_after_s refuse_retained_commands"
)
_OLD = "config.json"
_STRUCTURAL_MAX = const(80)  # as config.py had it


def begin(rtc_state):
    """See that this node has been told who it is: in a copy of its identity, or in config.json,
    which is split then; else listen on the console until it is, and start again. Returns without
    when nobody is there to say anything. OSError, KeyboardInterrupt.
    """
    unimport("device.upgrade", "node.config.written", "node.shared.strictjson")
    names = access(os.listdir)
    if "identity.bak" in names:
        return
    if _OLD in names:
        split(names)
        return
    from device.console import provisioned

    gc.threshold(-1)  # a collection in the middle of a line could cost some of it
    if provisioned(rtc_state):
        reset()


def split(names):
    """Make what is missing of the identity and the settings of this slot out of config.json.
    `names` is what the root has. OSError.

    The settings come first, then the identity and its second copy, then config.json goes, if no
    other code is there that was written for it. What a cut leaves is gone on with at the next boot.
    """
    slot = slot_in_use()
    folder = slot or "."
    try:
        text = read(_OLD) or b""
        # json.load takes what was cut short for whole.
        values = Shape(text, len(text), _STRUCTURAL_MAX).load()
        parts = {"v": 1}, {"v": 1, "version": 1}
        for name in values:
            parts[name in _SETTINGS.split()][name] = values[name]
    except (ValueError, TypeError, LookupError):
        return
    if "settings.json" not in access(os.listdir, folder):
        replace(folder + "/settings.json", encoded(parts[1]))
    if not {"identity.json", "identity.bak"} & set(names):
        text = sealed(parts[0])
        replace("identity.json", text)
        replace("identity.bak", text)
    if not _wanted(slot):
        access(os.remove, _OLD)


def _wanted(slot):
    """Whether the other slot has code from before: it has a list, and no settings of its own."""
    if not slot:
        return False
    other = "b" if slot == "/a" else "a"
    if other not in access(os.listdir, "/"):
        return False
    there = access(os.listdir, "/" + other)
    return "files.json" in there and "settings.json" not in there
