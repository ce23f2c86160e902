"""`limpet top`: the fleet as a table in the terminal, the worst first."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from limpet.heard import who
from limpet.heard.fleet import Fleet
from limpet.heard.known import Known
from limpet.heard.listening import Hearing, listen
from limpet.ingest import options
from limpet.ingest.asked import Wanted
from limpet.ingest.consumer import Consumer, Message
from limpet.operating.operator_client import START
from limpet.operating.where import Where
from limpet.shared import ending, progress
from limpet.shared.firmware import topics
from limpet.shared.numbers import Seconds
from limpet.shared.paths import RUN
from limpet.shared.plain import plural, safe
from limpet.shared.problem import Problem
from limpet.top import rows, table
from limpet.top.keys import Keys
from limpet.top.screen import AROUND, Said, Scene, Screen, drawn
from limpet.top.view import View, chosen, counted, counts

# What is retained comes at once; who measures each few seconds has said a Reading.
ONCE_S = 5.0
# Between two pictures, for what is heard; and, for a key that is held, for what is pressed.
NEWS_S = 0.25
KEY_S = 0.05
# The ages grow.
STILL_S = 1.0
_CLOSE_S = 1.0
_SUFFIXES = (topics.TELEMETRY, topics.BACKLOG, topics.STATUS, topics.HEALTH, topics.ALERTS)


class _Hearing(Hearing):
    """One that knows whether there is news."""

    news = 0

    def take(self, message: Message, now: float) -> None:
        """Note a Message. now: Unix seconds."""
        self.news += 1
        super().take(message, now)


def top(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
    seconds: Seconds | None = None,
    name: Annotated[str | None, Parameter(name="--as")] = None,
    where: Where | None = None,
) -> int:
    """Show the fleet as a live table, the worst first, until q or Ctrl-C.

    Who is silent, has left without a goodbye, has an alert, gives Readings up or has more and more
    of them waiting comes first. `?` tells the keys. Without a terminal the table is printed once.

    Parameters
    ----------
    once
        Listen for a while, print the table, and end.
    as_json
        The same for programs: one JSON object.
    seconds
        How long to listen [default: 5 where it is printed once, else until it is ended].
    name
        Name of the identity of the fleet that is taken [default: an operator's that is free].
    """
    live = sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not once and not as_json
    settled = (where or Where()).settled(tell=not live)
    view, said = View(), Said()
    known = Known(settled.root, None, lambda text: None)  # its fault is shown
    wanted = options.filters(options.Source(), known.layout, _SUFFIXES)
    leased, address = who.address(settled, name)
    hearing = _Hearing(Fleet(known.refresh(), time.time()), known)
    scene = Scene(_called(settled.root), hearing, view, said)
    consumer = Consumer(address, Wanted(wanted, kept=False), said.say)
    ended = threading.Event()
    ear = threading.Thread(
        target=listen,
        args=(consumer, hearing, ended.is_set, NEWS_S),
        name="listening",
        daemon=True,
    )
    ear.start()
    try:
        if live:
            _live(scene, hearing, seconds)
        else:
            _once(scene, seconds or ONCE_S, as_json)
    except KeyboardInterrupt:
        if not live:
            raise
    finally:
        ended.set()
        ear.join(_CLOSE_S)
        if not ear.is_alive():  # it may wait for a broker that does not answer
            consumer.close()
        leased.release()
    return 0


def _called(root: Path) -> str:
    """Return what a person calls the set-up: `limpet run`'s own, or the folder of a fleet."""
    if os.path.realpath(root) == os.path.realpath(RUN):
        return "limpet run"
    home = os.path.expanduser("~/")
    text = str(root.absolute())
    return safe("~/" + text.removeprefix(home) if text.startswith(home) else text)


def _live(scene: Scene, hearing: _Hearing, seconds: float | None) -> None:
    """Show it until it is ended, its terminal has gone, or so many seconds are over."""
    end = time.monotonic() + seconds if seconds else float("inf")
    shown, news, size = -STILL_S, -1, (0, 0)
    with Screen() as screen, Keys() as keys:
        while not scene.view.ended and not ending.lost():
            begun = time.monotonic()
            if begun >= end:
                return
            if (
                hearing.news != news
                or screen.size != size
                or begun - shown >= STILL_S
                or scene.said.changed()
            ):
                news, size, shown = hearing.news, screen.size, begun
                screen.draw(drawn(scene, *size, time.time()))
            pressed = keys.pressed(min(NEWS_S, end - begun))
            if screen.stopping:
                with keys.away():
                    screen.stop()
                shown = -STILL_S
            for each in pressed:
                scene.view.press(each, max(size[1] - AROUND, 1))
                shown = -STILL_S
            if pressed:  # one that is held comes thirty times a second
                time.sleep(KEY_S)


def _once(scene: Scene, seconds: float, as_json: bool) -> None:
    """Listen so long, print what was heard; raise Problem where there was no connection."""
    line = progress.Line("listening")
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not ending.lost():
        time.sleep(min(left, NEWS_S))
        line.say("")
    line.end()
    if ending.lost():
        return  # nobody is left to be told, whether there was a connection or not
    hearing = scene.hearing
    with hearing.lock:
        if not hearing.connects:
            raise Problem(f"{scene.said.text or 'There was no connection'}.", START)
        print(json.dumps(told(scene, time.time())) if as_json else text(scene, time.time()))
        if not as_json and (few := unread(scene, seconds)):
            print(few, file=sys.stderr)


def unread(scene: Scene, seconds: float) -> str:
    """Return what there is to say of devices that are online and of which no Reading was heard."""
    devices = scene.hearing.fleet.devices.values()
    count = sum(each.status == "online" and each.reading is None for each in devices)
    if not count:
        return ""
    return (
        f"Of {plural(count, 'device')} online no Reading came within {seconds:g} s: "
        "--seconds listens longer, for more than their interval."
    )


def text(scene: Scene, now: float) -> str:
    """Return the table as it is `now`, Unix seconds, with all its rows, and as wide as it takes."""
    fleet, bases = scene.hearing.fleet, scene.hearing.base_topics()
    at = scene.hearing.judged_at(now)
    names = chosen(fleet, bases, scene.view, at)
    found = [rows.row(name, bases.get(name, ""), fleet.devices[name], at) for name in names]
    columns = table.natural(found)
    lines = [table.head(columns), *(table.cells(each, columns) for each in found)]
    many = plural(len(fleet.devices), "device")
    return "\n".join([f"{many}: {counted(fleet, at)}", *map(table.line, lines)])


def told(scene: Scene, now: float) -> dict[str, Any]:
    """Return the same for programs."""
    hearing = scene.hearing
    fleet, bases, at = hearing.fleet, hearing.base_topics(), hearing.judged_at(now)
    names = chosen(fleet, bases, scene.view, at)
    return {
        "at": at,
        "connected": hearing.up,
        "counts": dict(counts(fleet, at)),
        "devices": [
            rows.as_json(name, bases.get(name, ""), fleet.devices[name], at) for name in names
        ],
    }
