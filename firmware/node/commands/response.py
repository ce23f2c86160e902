"""A Response as JSON: the one answer to a Command.

Codes, by status; a handler may add its own to `failed`:

    rejected    too-long too-complex not-json duplicate-key unknown-key bad-version bad-action
                bad-params bad-ts bad-ttl bad-reply-to unknown-action clock-not-set retained
    expired     expired
    failed      flash too-short busy timeout interrupted internal memory forgotten safe-mode

What does not fit is not shortened.
"""

import json

EXECUTED = "executed"
REJECTED = "rejected"
FAILED = "failed"
EXPIRED = "expired"


def executed(id, result, ts):
    """Response (bytes) to `id` (str) with a result (dict). ts: Unix seconds, or None."""
    return _encode(id, EXECUTED, '"result":' + _json(result), ts)


def refused(id, status, code, text, ts):
    """Response (bytes) to `id` (str) that says by code and text (str) why there is no result."""
    return _encode(id, status, '"code":%s,"text":%s' % (_json(code), _json(text)), ts)


def _encode(id, status, body, ts):
    # Written out: MicroPython's dict has no order, and a reader wants v and id first.
    text = '{"v":1,"id":%s,"status":"%s",%s,"ts":%s}' % (_json(id), status, body, _json(ts))
    return text.encode()


def _json(value):
    return json.dumps(value, separators=(",", ":"))
