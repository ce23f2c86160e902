"""Where Commands come in. What answers them (commands/processor.py) takes 13 KB of heap: it is
imported when one comes, and let go of when none has come for a minute.

What is not on flash or still to be answered is not forgotten.
"""

import gc

from micropython import const
from node.shared.unimport import unimport

_IDLE_MS = const(60_000)
_CODE = (
    "node.commands",
    "node.shared.errors",
    "node.shared.strictjson",
    "node.shared.topic_rules",
    "node.shared.topics",
)


class Router:
    """The way from the topic `commands` to `commands/response`.

    base: the device's base topic (str). node: what handlers may ask for. responses.put(topic,
    payload): takes a Response (str, bytes). flash: has read(path) and replace(path, bytes), for the
    memory of Commands. how: unix() -> Unix seconds or None; log(area, words); on_bug(exc), told of
    what a handler must not raise; and whether a retained Command is refused, which comes again at
    each connect, also when its id is long forgotten.

    topic: where Commands come in (str). dropped: reason -> how many payloads got no Response.
    """

    def __init__(self, base, node, responses, flash, how):
        from node.shared import topics

        self.topic = base + "/" + topics.COMMANDS
        self.dropped = {}
        _, self._log, self._on_bug, _ = how
        self._given = (base, node, responses, flash) + how + (self._drop, self, [])
        self._processor = None
        self._until = None  # when what answers is let go of; None: counted from the next run
        self.due = None

    def on_message(self, topic, payload, retained, dup):
        """Takes what came down (str, bytes, bool, bool); puts at most one Response. Never raises.
        What there was no heap for comes as None.

        dup is not looked at: the id alone tells a repeat, also over a new packet id.
        """
        if payload is None or topic != self.topic:
            self._drop("memory" if payload is None else "foreign-topic")
            return
        try:
            if self._processor is None:
                gc.collect()  # code that stays for a minute is not to be spread among garbage
                from node.commands.processor import CommandProcessor

                self._processor = CommandProcessor(*self._given)
            self._until = None
            self.due = 0
            self._processor.take(payload, retained)
        except MemoryError:
            self._drop("memory")
            if self._processor is None:
                unimport(*_CODE)  # what of it there was room for
                try:
                    from node.session.shortage import refuse

                    refuse(payload, topic + "/response", self._given[2])
                except MemoryError:
                    pass
                unimport("node.session.shortage")
        except Exception as exc:  # noqa: BLE001 - it must not end the step of the Link
            self._on_bug(exc)

    def _drop(self, reason):
        """Count and log a payload that gets no Response."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self._log("command", "dropped reason=%s" % reason)

    def run(self, now):
        """Answers what has its result or no time left, and lets go of what answers."""
        processor = self._processor
        processor.run(now)
        self.due = processor.due
        if self._until is None:
            self._until = now + _IDLE_MS
        if now < self._until:
            self.due = min(self.due, self._until)
        elif processor.idle:
            self._processor = self.due = None
            unimport(*_CODE)
