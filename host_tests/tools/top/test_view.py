"""What the keys do in `limpet top`, and which devices are shown."""

from __future__ import annotations

import json

import pytest
from limpet.heard.fleet import Fleet
from limpet.ingest.consumer import Message
from limpet.top.keys import names
from limpet.top.view import SHOWS, SORTS, View, chosen, counted
from support.brokers.running import base

NOW = 1_790_000_500.0
BASES = {f"node-{i}": base(f"node-{i}") for i in range(1, 13)}


@pytest.fixture
def fleet() -> Fleet:
    """Return one of twelve: node-3 was lost, node-11 has an alert, node-7 sleeps."""
    made = Fleet(BASES, NOW)
    for device in BASES:
        status = {"v": 1, "status": "online", "boot": 7, "session": 1}
        if device == "node-3":
            status |= {"status": "offline", "reason": "lost"}
        if device == "node-7":
            status |= {"status": "asleep", "wake_at": int(NOW) + 60}
        if device == "node-11":
            status |= {"alerts": ["no-time"]}
        payload = json.dumps(status).encode()
        made.take(Message(f"{base(device)}/status", payload, 1, 1), NOW)
    return made


def press(view: View, *keys: str) -> View:
    """Press keys, ten rows in view of twelve."""
    for each in keys:
        view.press(each, 10)
        view.within(12, 10)
    return view


def shown(fleet: Fleet, view: View) -> list[str]:
    """Return who is shown."""
    return chosen(fleet, BASES, view, NOW)


def test_what_a_terminal_sends() -> None:
    """Keys have names; what is none of them is left out, and an Esc alone is one."""
    sent = "j\x1b[A\x1b[B\x1bOA\x1b[5~\x1b[6~\x1b[1~\x1b[F \r\x7f/é\x1b[200~\x1b[1;5A\x07\x04\x1b"
    expected = ["j", "up", "down", "up", "pgup", "pgdn", "home", "end"]
    assert list(names(sent)) == [*expected, " ", "enter", "backspace", "/", "é", "q", "esc"]


def test_scrolling() -> None:
    """By lines and pages, and not beyond the ends."""
    view = View()
    assert press(view, "k", "up").top == 0
    assert press(view, "j").top == 1
    assert press(view, "pgdn").top == 2
    assert press(view, "down", "down", "G").top == 2
    assert press(view, "pgup").top == 0
    assert press(view, "end", "g").top == 0
    view.top = 2
    view.within(4, 10)
    assert view.top == 0


def test_the_order(fleet: Fleet) -> None:
    """By trouble at first, then as asked for, names as people count."""
    found = shown(fleet, View())
    assert found[:3] == ["node-3", "node-11", "node-7"]
    assert found[3:5] == ["node-1", "node-2"]
    view = press(View(), "s")
    assert shown(fleet, view) == list(BASES)
    assert press(view, *"s" * (len(SORTS) - 1)).sort == "trouble"


def test_the_filter(fleet: Fleet) -> None:
    """All, who is in trouble, and each state."""
    view = press(View(), "f")
    assert (view.show, shown(fleet, view)) == ("trouble", ["node-3", "node-11"])
    by_state = {show: len(shown(fleet, View(show=show))) for show in SHOWS}
    assert by_state == {
        "all": 12, "trouble": 2, "silent": 0, "offline": 1, "unseen": 0, "asleep": 1, "online": 10,
    }  # fmt: skip


def test_searching(fleet: Fleet) -> None:
    """While it is typed, in what a person sees; letters that are keys are letters then."""
    view = press(View(), *"/NODE-1q")
    assert not view.ended
    assert shown(fleet, view) == []
    press(view, "backspace", "enter")
    assert shown(fleet, view) == ["node-11", "node-1", "node-10", "node-12"]
    assert not view.typing
    assert press(view, "esc").search == ""
    assert shown(fleet, press(view, *"/no-time", "enter")) == ["node-11"]
    assert shown(fleet, press(view, *"/asleep", "esc")) == shown(fleet, View())
    assert len(press(view, "/", *"x" * 1000).search) < 100


def test_help_and_the_end() -> None:
    """Any key takes the help away, and does no more; q ends it."""
    view = press(View(), "?")
    assert view.help
    assert not press(view, "q").ended
    assert not view.help
    assert press(view, "q").ended


def test_the_counts(fleet: Fleet) -> None:
    """By state, the worst first, each with its sign."""
    assert counted(fleet, NOW) == "x 1 offline  z 1 asleep  + 10 online  1 with alerts"
