"""The Response to a Command for which there is no memory now: the code that answers Commands takes
13 KB, this a few hundred bytes.

An id is found where tools put it, at the very front, and nowhere else.
"""

_ID_MAX = 64
_FRONTS = (b'{"id":"', b'{"v":1,"id":"', b'{"id": "', b'{"v": 1, "id": "')


def refuse(payload, topic, responses):
    """Put `failed`, code `memory`, if `payload` (bytes) has a plain id at its front."""
    for front in _FRONTS:
        start = len(front)
        end = payload.find(b'"', start)
        id = payload[start:end]
        if payload.startswith(front) and end > 0 and 1 <= len(id) <= _ID_MAX:
            if b"\\" not in id and all(32 <= each < 127 for each in id):
                said = b'{"v":1,"id":"%s","status":"failed","code":"memory",' % id
                said += b'"text":"no memory for it now","ts":null}'
                if responses.room(1, len(said)):
                    responses.put(topic, said)
            return
