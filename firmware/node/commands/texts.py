"""What a Response says beside its code, in words: loaded with the first Command that is refused or
fails, and let go of with what answers Commands.
"""

_TEXTS = {
    "too-long": "at most %d bytes",
    "not-json": "must be JSON, in UTF-8",
    "duplicate-key": "each key once",
    "too-complex": "at most %d of {}[]:, outside strings, 8 levels, 20 digits",
    "unknown-key": "known: v, id, action, params, ts, ttl, reply_to",
    "bad-version": "v must be 1",
    "bad-action": "action must be a string",
    "bad-params": "params must be an object",
    "bad-ts": "ts must be whole seconds since 1970, UTC",
    "bad-ttl": "ttl must be whole seconds, 0 to %d",
    "bad-ttl ts": "ttl needs ts",
    "bad-reply-to": "only %s, or one level below it",
    "clock-not-set": "a ttl cannot be checked yet",
    "expired": "too late by %d s",
    "retained": "retained Commands are refused here",
    "flash": "the id could not be kept",
    "busy": "%d Commands are waiting for their results",
    "timeout": "no result within %d s",
    "interrupted": "a reset came before its Response",
    "forgotten": "it failed; what for is not kept any more",
    # Nothing of the exception: it may quote anything.
    "internal": "a bug: it is in the node's log",
    "memory": "no memory for it now",
}


def told(code, *values):
    """(code, text) of a code, which a second word may tell from another text for the same one."""
    text = _TEXTS.get(code, "")
    return code.split(" ")[0], text % values if values else text
