# mypy: ignore-errors
"""A node whose heap has no long piece any more: a part of bench_node.py, loaded for that alone."""

import json

import board
from bench_common import device_id
from bench_islands import cut_up

# As on a chip, where a batch is made short.
board.idf_heap = lambda: (60_000, 60_000, 60_000)
_READINGS = 60
_ACTIONS = ("ping", "get_status", "get_crash", "read_now", "identify", "set_interval", "nothing")
_MORE = {"identify": b',"params":{"seconds":1}', "set_interval": b',"params":{"seconds":99}'}


class _Names:
    """Has so many that the table of all names is long enough for the node's, beside the bench's."""


def part(flood):
    """The part, which is a Flood (bench_node.py) that never begins."""

    class Pieces(flood):
        """What a node does in its life once TLS is up: it answers Commands, loses its connection,
        writes Readings to flash, connects, and sends them.
        """

        held = port = None

        def look(self, now):
            """The next thing, once the one before is over."""
            if self.port and self.backlog.queued:
                self.client.port = self.port  # the broker is there again
            if not self.settled(now) or now < 1500:
                return
            if self.held is None:
                for number in range(80):
                    setattr(_Names, "n" + str(number), None)
                self.commands, self.answers = list(_ACTIONS), {}
                responses = self.sources[1]
                self._put, responses.put = responses.put, self.answered
                self.held = cut_up()
            elif self.commands:
                self.ask(self.commands.pop(0))
                self._busy = now
            elif not self.port:
                self.port, self.client.port = self.client.port, 1  # where nobody is
                for number in range(_READINGS):
                    self.put(number, now)
                self.client._transport.cause = "closed"
                self.client.due = 0
            elif not self.live.queued and not self.backlog.queued:
                said = self.sources[-1].snapshot()
                errors = said["flash_errors"] + len(said["commands_dropped"])
                what = {name: said[name] for name in ("downs", "bugs", "commits", "dropped")}
                self.end(errors=errors, answers=self.answers, **what)

        def answered(self, topic, payload):
            """A Response, of which the status counts."""
            status = json.loads(payload)["status"]
            self.answers[status] = self.answers.get(status, 0) + 1
            return self._put(topic, payload)

        def ask(self, action):
            """A Command."""
            to = f"limpet/home/desk/climate/{device_id}/commands"
            action = action.encode()
            text = b'{"id":"%s","action":"%s"%s}' % (
                action,
                action,
                _MORE.get(action.decode(), b""),
            )
            self.client.on_message(to, text, False, False)

    return Pieces
