"""The exporter's connection: what is said now, until Ctrl-C. While the broker is away, or others
are tried, what was heard stays.

Its session is not kept: a figure of an hour ago is of no use, and a queue at the broker would be
one more thing to fill it.
"""

from __future__ import annotations

import time

from limpet.exporter.metrics import State
from limpet.ingest.consumer import Consumer

# Between two looks at the registry, and the longest wait for the broker.
LOOK_S = 1.0


def listen(consumer: Consumer, state: State) -> None:
    """Take what comes, for ever. Raises Problem for what only a person can put right, as long as
    there was no connection yet.
    """
    looked = time.monotonic()
    while True:
        consumer.step(LOOK_S)
        messages = consumer.take()
        if (now := time.monotonic()) - looked >= LOOK_S:
            looked = now
            bases = state.known.refresh()
            with state.lock:
                state.fleet.known(bases)
        with state.lock:
            _connection(consumer, state)
            for each in messages:
                if each.topic and each.topic.startswith("$"):
                    state.figures.take(each.topic, each.payload)
                else:
                    state.fleet.take(each, time.time())
        consumer.acknowledge(messages)


def _connection(consumer: Consumer, state: State) -> None:
    if consumer.connects != state.connects:
        state.fleet.interrupted(time.time())
        state.connects = consumer.connects
    if state.up and not consumer.up:
        state.figures.gone()
    state.up = consumer.up
