"""`limpet doctor --follow`: says as it happens what is wrong with a running broker, and when it is
over: thresholds of `limpet capacity --live`, refused logins, devices that nobody knows, and twice
as many Messages as usual.

It changes nothing, and takes no more memory the longer it runs.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from limpet.brokers.capacity import Limits
from limpet.brokers.on_network import LOG, own_folder
from limpet.doctor import figures
from limpet.doctor.figures import Numbers, Refusal
from limpet.doctor.health import limits_of
from limpet.doctor.live import monitor
from limpet.doctor.live.alarms import OTHERS, Alarms, Change, Repeated, Usual
from limpet.doctor.live.listening import Listening
from limpet.doctor.live.log_lines import Login, Tail, parse
from limpet.doctor.live.monitor import Monitor
from limpet.doctor.live.strangers import MOST
from limpet.identity.layout import Layout
from limpet.operating.inbox import Inbox
from limpet.operating.where import Where
from limpet.shared import ending
from limpet.shared.plain import clock, safe
from limpet.shared.problem import Problem

# How often the broker's figures are looked at: mosquitto has new ones as often.
LOOK_S = 10.0
FIRST_S = 2.0
# A device that nobody knows, and that was not heard for so long, is over.
SILENT_S = 600.0
_WAIT_S = 0.5
_WHOSE = "Provision it, or find out whose it is."
_STRANGERS = "Messages of devices in no registry, beyond the {most} that were named"
_NO_FIGURES = (
    "It says nothing of itself: no figures. mosquitto does below $SYS, RabbitMQ and NATS by HTTP: "
    "--figures URL."
)


def follow(
    where: Where,
    device: str = "",
    url: str | None = None,
    log: Path | None = None,
    as_json: bool = False,
    look_s: float = LOOK_S,
) -> int:
    """Follow the broker of `where` until Ctrl-C; return the exit code. Raises Problem where it
    cannot be asked at first.

    device: whose broker, '' for the first one's. url: where RabbitMQ or NATS shows its figures.
    log: the broker's, `-` for standard input; None: that of a `limpet broker`. as_json: a line of
    JSON for each event. look_s: from one look at the figures to the next.
    """
    settled = where.settled(tell=True)
    layout = Layout(settled.root)
    inbox: Inbox[tuple[str, str]] = Inbox()
    tail = Tail(log or own_folder(layout) / LOG)
    page = Monitor(url) if url else monitor.of_fleet(layout)
    try:
        with Listening(
            settled,
            lambda base: inbox.put(("stranger", base)),
            lambda text: inbox.put(("change", text)),
            device or None,
        ) as listening:
            client = listening.client
            teller = Teller(as_json)
            teller.say("follows", "ok", f"following {client.host}:{client.port}; Ctrl-C ends it")
            follower = Follower(layout, listening, page, tail, teller)
            follower.page_is_named, follower.log_is_named = url is not None, log is not None
            _run(follower, inbox, look_s)
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()  # after the terminal's ^C
    finally:
        tail.close()
    return 0


def _run(follower: "Follower", inbox: Inbox[tuple[str, str]], look_s: float) -> None:
    due = time.monotonic() + min(FIRST_S, look_s)  # what is retained below $SYS is there by then
    while not ending.lost():
        item = inbox.get(min(_WAIT_S, look_s))
        now = time.monotonic()
        while item:
            follower.heard(*item)
            item = inbox.get(0)
        follower.read_log(now)
        if now >= due:
            due = now + look_s
            follower.look(now)


class Teller:
    """Prints events: for a person, or a line of JSON each."""

    def __init__(self, as_json: bool, now: Callable[[], float] = time.time) -> None:
        self._as_json = as_json
        self._now = now

    def say(self, event: str, level: str, text: str, remedy: str = "", **more: Any) -> None:
        """Print one. level: "ok" for what is over, and for what is just said."""
        ts = self._now()
        if self._as_json:
            said = {"ts": round(ts, 3), "event": event, "level": level, "text": text}
            print(json.dumps(said | ({"remedy": remedy} if remedy else {}) | more), flush=True)
            return
        print(safe(f"{clock(ts)}  {level:<8}  {text}"), flush=True)
        if remedy:
            print(safe(f"{'':<20}{remedy}"), flush=True)


class Follower:
    """What is known of a broker so far, and what was told of it.

    listening: the connection; page: its figures by HTTP, where it has them; tail: its log.
    """

    page_is_named = log_is_named = False

    def __init__(
        self,
        layout: Layout,
        listening: Listening,
        page: Monitor | None,
        tail: Tail,
        teller: Teller,
    ) -> None:
        self._layout = layout
        self._listening = listening
        self._page = page
        self._tail = tail
        self._teller = teller
        self._alarms = Alarms()
        self._usual = Usual()
        self._repeated = Repeated()
        self._refused: float | None = None
        self._ids: frozenset[int] | None = None
        self._by_page = False
        self._further = 0  # Messages of strangers beyond those that are named, as noted so far
        self._silent = ""  # why there are no figures, as it was told

    def heard(self, kind: str, text: str) -> None:
        """Tell what came by MQTT: a stranger's base topic, or a line on the connection."""
        if kind == "stranger":
            said = f"{text} speaks, and is in no registry"
            self._teller.say("unknown-device", "warning", said, _WHOSE, base=text)
        else:
            level = "ok" if text.startswith("connected") else "critical"
            self._teller.say("connection", level, text)

    def read_log(self, now: float) -> None:
        """Tell what the broker's log says of logins, and what was counted of it."""
        for line in self._tail.lines():
            found = parse(line)
            if isinstance(found, Refusal):
                if self.log_is_named or not self._by_page:  # else the page has told it
                    self._refusal(found, now)
            elif isinstance(found, Login):
                self._login(found.who, now)
        for kind, count in self._repeated.more(now):
            what = "of others" if kind == OTHERS else kind
            self._teller.say("repeated", "warning", f"{count:,} more: {what}", count=count)

    def look(self, now: float) -> None:
        """Look at the figures, and tell what has changed."""
        said = self._numbers()
        if said is not None:
            self._refusals(said, now)
            limits = self._limits()
            found = figures.judged(self._usual.take(said, now), limits) if limits else []
            # Each refused login is told by itself.
            found = [each for each in found if each.name != figures.REFUSED]
            for change in self._alarms.take(found):
                self._changed(change)
        for base in self._listening.over(now - SILENT_S):
            self._teller.say("unknown-device", "ok", f"{base}: over", base=base)
        self._further_strangers(now)

    def _further_strangers(self, now: float) -> None:
        further = self._listening.strangers()[1]
        count, self._further = further - self._further, further
        text = _STRANGERS.format(most=MOST)
        if count and self._repeated.take(text, now, count):
            self._teller.say("unknown-device", "warning", text, _WHOSE)

    def _limits(self) -> Limits | None:
        try:
            kind = self._page.kind if self._page and self._by_page else "mosquitto"
            return limits_of(self._layout, kind)
        except Problem:  # the registry is none just now: others say so
            return None

    def _numbers(self) -> Numbers | None:
        """Return the figures of now; None, and why once, where there are none."""
        try:
            said = Numbers() if self.page_is_named else self._listening.numbers()
            # A fleet may have files of a broker that it was tried with once, and that is not there.
            self._by_page = self._page is not None and not said.said()
            if self._page and self._by_page:
                said = self._page.numbers()
            why, remedy = ("", "") if said.said() else (_NO_FIGURES, "")
        except Problem as problem:
            said, why, remedy = Numbers(), problem.cause, problem.remedy
        if why != self._silent:
            if why:
                self._teller.say("figures", "warning", why, remedy)
            else:
                self._teller.say("figures", "ok", "its figures are there again")
            self._silent = why
        return None if why else said

    def _changed(self, change: Change) -> None:
        order = ("ok", "warning", "critical")
        worse = order.index(change.level) > order.index(change.was)
        figure = change.figure
        text = figure.words() if worse else f"{figure.words()}; {change.was} is over"
        self._teller.say(
            "figure",
            change.level,
            text,
            figure.remedy if worse else "",
            name=figure.name,
            value=figure.value,
            was=change.was,
        )

    def _refusals(self, said: Numbers, now: float) -> None:
        """Tell who was refused since the look before, by name or by number."""
        ids = frozenset(each.id for each in said.refusals)
        for each in said.refusals if self._ids is not None else ():
            if self._ids is not None and each.id not in self._ids:
                self._refusal(each, now)
        self._ids = ids
        # With its log named, RabbitMQ's counter would say it a second time.
        if said.refused is not None and not self.log_is_named:
            more = int(said.refused - (said.refused if self._refused is None else self._refused))
            if more > 0:
                self._refusal(Refusal("", "its log says whom: --log FILE"), now, more)
        self._refused = said.refused

    def _refusal(self, found: Refusal, now: float, count: int = 1) -> None:
        who = f" of {found.who}" if found.who else ""
        text = f"refused login{who}: {found.why}"
        if self._repeated.take(text, now, count):
            self._teller.say("refused-login", "warning", text, who=found.who, why=found.why)

    def _login(self, name: str, now: float) -> None:
        try:
            if name in self._layout.bases() or name in self._layout.consumers():
                return
        except Problem:
            return
        text = f"{name} has logged in, and is in no registry: it is mute and deaf"
        if self._repeated.take(text, now):
            remedy = "Its certificate is of this authority: find out who made it."
            self._teller.say("unknown-device", "warning", text, remedy, who=name)
