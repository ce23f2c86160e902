"""What is on its way, and what is retained. Pure.

A Message may be anybody's: what is in it is believed as far as it is of the kind that is meant.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from shlex import quote
from statistics import median
from typing import Any

from limpet.brokers import rules
from limpet.doctor.checks.devices import DOCTOR
from limpet.doctor.facts import Facts, Message
from limpet.doctor.finding import Finding, listed
from limpet.shared import payloads
from limpet.shared.firmware import topics
from limpet.shared.plain import is_number, word

# A live Reading is on its way for seconds; batches are not asked.
CLOCK_S = 30
# The broker's own time is said in whole seconds.
BROKER_CLOCK_S = 5
_YEAR_S = 366 * 24 * 3600
SLASHES_MOST = 7
# Who comes back more often while we listen has no quiet life.
BIRTHS = 3
# A Reading that is said again has its time; only a clock that was set in between moves it.
SAME_S = 5
# A longer topic is shown as far as that, and in no command.
_TOPIC = 200
TAKEN = "client-id-taken"
TAKEN_TIMES = 5


def two_sessions(facts: Facts) -> Iterator[Finding]:
    """Two of one name throw each other out, or take turns."""
    for name, said in _of_devices(facts).items():
        if why := _as_two([each for each in said if _is_in_order(*each)], facts.listened_s):
            # Who only comes again and again may have a bad connection, too.
            yield Finding(
                "warning" if why.startswith("it came") else "critical",
                f"Two seem to be {name}: {why}.",
                "A broker lets in one of a name: each throws the other out, and both are heard "
                "badly.",
                "Two boards with one identity, or a program with the device's certificate: end "
                f"one, or make it anew: limpet fleet renew {name}.",
            )


def _is_in_order(message: Message, values: dict[str, Any]) -> bool:
    """Whether its count of boots is that of the moment. A backlog is older, and so may a will be;
    what is retained comes first, and is of before.
    """
    kind = payloads.kind_of(message.topic)
    if kind == topics.STATUS:
        return values.get("status") == "online"
    return kind != topics.BACKLOG and not message.retained


def _as_two(said: list[tuple[Message, dict[str, Any]]], listened_s: float) -> str:
    """Return why a device seems to be two, in words; "" where it does not."""
    births = [each for message, each in said if payloads.kind_of(message.topic) == topics.STATUS]
    for each in births:
        outage = each.get("outage")
        cause = outage.get("cause") if isinstance(outage, dict) else None
        if cause == TAKEN or TAKEN in _words(each.get("alerts")):
            return f"it says so ({TAKEN})"
    boots = [each["boot"] for _, each in said if type(each.get("boot")) is int]
    if any(late < early for early, late in pairwise(boots)):
        return f"its boots are {listed([str(each) for each in dict.fromkeys(boots)])} in turn"
    counted = [(each.get("boot"), each.get("session")) for each in births]
    sessions = [each for each in counted if all(type(part) is int for part in each)]
    if any(late < early for early, late in pairwise(sessions)):
        return "its sessions are counted twice"
    times: dict[str, float] = {}
    for _, each in said:
        if is_number(each.get("ts")) and is_number(each.get("seq")):
            name = f"boot {word(each.get('boot'))}, seq {each['seq']}"
            if abs(each["ts"] - times.setdefault(name, each["ts"])) > SAME_S:
                return f"two Readings are called {name}"
    if len({*sessions}) > BIRTHS:
        return f"it came {len({*sessions}) - 1} times in {listened_s:.0f} s"
    return ""


def taken(facts: Facts) -> Iterator[Finding]:
    """By the broker's log one takes another's place again and again."""
    for name, times in facts.logged.taken.items():
        if times >= TAKEN_TIMES:
            yield Finding(
                "warning",
                f"{name} took its own place {times} times within an hour, by the broker's log.",
                "Two programs or boards of one name throw each other out; once or twice it is one "
                "that has come back.",
                f"Give one of them a name of its own: limpet operator add NAME, or limpet fleet "
                f"renew {quote(name)}.",
            )


def unknown_device(facts: Facts) -> Iterator[Finding]:
    """Somebody speaks who is in no registry."""
    known = {*facts.bases.values()}
    found = Counter(
        _base(each.topic)
        for each in facts.messages
        if not each.retained and _is_of_device(facts, each) and _base(each.topic) not in known
    )
    if found:
        yield Finding(
            "warning",
            f"Devices that nobody knows are speaking: {listed(list(found))}.",
            "The broker lets in who is not in this fleet's registry, or has an older one.",
            "Enter them (limpet provision ID), or restart the broker by the files of now.",
        )


def clock(facts: Facts) -> Iterator[Finding]:
    """The time in live Readings is not ours."""
    off: dict[str, float] = {}
    for name, said in _of_devices(facts).items():
        apart = [
            values["ts"] - message.at
            for message, values in said
            if payloads.kind_of(message.topic) == topics.TELEMETRY
            and not message.retained
            and is_number(values.get("ts"))
        ]
        if apart:
            off[name] = min(apart, key=abs)
    wrong = {name: each for name, each in off.items() if abs(each) > CLOCK_S}
    together = median(wrong.values()) if wrong else 0.0
    if len(wrong) > 1 and all(abs(each - together) < CLOCK_S for each in off.values()):
        yield Finding(
            "warning",
            f"All {len(off)} devices are {_apart(together)} this machine.",
            "They agree with each other: it is this machine's clock that is wrong.",
            "Let this machine have the time from a time server: timedatectl.",
        )
        return
    for name, each in wrong.items():
        yield Finding(
            "warning",
            f"The clock of {name} is {_apart(each)} this machine's.",
            "Its Readings have the wrong time, and its Commands may be `expired` before they come.",
            "Let it reach a time server (UDP 123), or name others: `ntp_servers`.",
        )
    for message in facts.messages:
        if payloads.kind_of(message.topic) == payloads.TIME:
            ts: Any = (payloads.decode(message.payload) or {}).get("ts")
            if is_number(ts) and abs(ts - message.at) > BROKER_CLOCK_S:
                yield Finding(
                    "warning",
                    f"The broker's clock is {_apart(ts - message.at)} this machine's.",
                    "Nodes take its time for a second opinion, and certificates depend on it.",
                    "Let both machines have the time from a time server: timedatectl.",
                )
                return


def _apart(seconds: float) -> str:
    apart = f"{abs(seconds):,.0f} s" if abs(seconds) < _YEAR_S else "more than a year"
    return f"{apart} {'ahead of' if seconds > 0 else 'behind'}"


def qos(facts: Facts) -> Iterator[Finding]:
    """Somewhere between a device and who reads it, QoS 1 becomes 0."""
    remedy = "Look for max_qos in its configuration, and for a bridge that subscribes with QoS 0."
    means = "What is under way is lost when a connection is, and nobody notices."
    if facts.granted == 0:
        yield Finding("warning", "The broker grants QoS 0 where 1 is asked for.", means, remedy)
    elif facts.returned == 0:
        cause = "What is published with QoS 1 is delivered with QoS 0."
        yield Finding("warning", cause, means, remedy)
    configs = {each.name: each.config for each in facts.devices if each.config}
    lowered = sorted(
        name
        for name, said in _of_devices(facts).items()
        if name in configs
        and min(configs[name].telemetry_qos, configs[name].max_qos)
        and any(m.qos == 0 for m, _ in said if payloads.kind_of(m.topic) in payloads.READINGS)
    )
    if lowered and facts.granted != 0 and facts.returned != 0:
        yield Finding(
            "warning",
            f"Readings of {listed(lowered)} arrive with QoS 0, and are sent with 1.",
            means,
            remedy,
        )


def qos_asked(facts: Facts) -> Iterator[Finding]:
    """By the broker's log somebody subscribes with QoS 0 to what comes with 1."""
    names = [
        f"{name} ({wanted})"
        for name, wanted in facts.logged.zero.items()
        # Devices do not; a visit in the name of one does.
        if name not in facts.bases and not name.startswith(DOCTOR)
    ]
    if names:
        yield Finding(
            "warning",
            f"Subscribed with QoS 0, by the broker's log: {listed(names)}.",
            "What comes while it is away, or slow, is lost to it.",
            "Have it subscribe with QoS 1, with a session that is kept.",
        )


def slashes(facts: Facts) -> Iterator[Finding]:
    """Topics that some brokers refuse, or that have an empty level."""
    found = dict.fromkeys(each.topic for each in facts.messages)
    leading = [topic for topic in found if topic.startswith("/")]
    deep = [topic for topic in found if topic.count("/") > SLASHES_MOST]
    for topics_, what, means in (
        (
            leading,
            "begin with a slash",
            "There is an empty level in front, which no filter of a fleet hears.",
        ),
        (deep, f"have more than {SLASHES_MOST} slashes", "AWS IoT Core takes no more."),
    ):
        if topics_:
            yield Finding("warning", f"Topics {what}: {listed(topics_)}.", means, "Name them anew.")


def leftovers(facts: Facts) -> Iterator[Finding]:
    """What is retained of devices that are gone, or that should not be retained."""
    known = {*facts.bases.values()}
    gone, odd = [], []
    for each in facts.messages:
        if not each.retained or not each.payload or each.topic.startswith("$"):
            continue
        if _base(each.topic) not in known:
            gone.append(each.topic)
        elif payloads.kind_of(each.topic) not in rules.RETAINED:
            odd.append(each.topic)
    if gone:
        yield Finding(
            "warning",
            f"Something is retained that is no device's of the fleet: {listed(gone)}.",
            "Whoever subscribes takes it for a device that is there.",
            f"limpet doctor --clear-retained {_filter(gone)}",
        )
    if odd:
        yield Finding(
            "warning",
            f"Retained is what is of its moment: {listed(odd)}.",
            "Whoever comes later takes it for new; a Command is carried out again.",
            f"limpet doctor --clear-retained {_filter(odd)}",
        )


def _filter(found: list[str]) -> str:
    """Return a filter for these topics, as a word of a shell: whoever may say something may choose
    a topic with quotes in it. A level that no terminal shows is `+`.
    """
    bases = {_base(topic) for topic in found}
    if len(found) > 1 and len(bases) > 1:
        return "FILTER"
    topic = found[0] if len(found) == 1 else f"{bases.pop()}/#"
    if len(topic) > _TOPIC:
        return "FILTER"
    return quote("/".join(each if each.isprintable() else "+" for each in topic.split("/")))


def offline(facts: Facts) -> Iterator[Finding]:
    """A device has said goodbye, was lost, or never spoke."""
    if not facts.listened_s:
        return
    last = _statuses(facts)
    heard = {*_of_devices(facts)}
    named = [each.name for each in facts.devices if each.base and (each.config or each.problem)]
    away = defaultdict(list)
    for name in named:
        status = last.get(name)
        if status is None and name not in heard:
            away["never heard, and no status is kept"].append(name)
        elif status and status.get("status") == "offline":
            away[f"offline ({word(status.get('reason', '?'))})"].append(name)
    for how, names in away.items():
        yield Finding(
            "note",
            f"{listed(names)}: {how}.",
            "If they are to be there, they do not reach the broker.",
            "limpet console shows what a board says; docs/troubleshooting.md what its cause means.",
        )


def alerts(facts: Facts) -> Iterator[Finding]:
    """A device says itself that something is wrong."""
    for name, status in _statuses(facts).items():
        # Of the one left out `two_sessions` says more.
        said = [each for each in _words(status.get("alerts")) if each != TAKEN]
        if status.get("mode") == "safe":
            said.append("safe mode, after three boots that ended early")
        if status.get("status") == "online" and said:
            yield Finding(
                "warning",
                f"{name} says: {listed(said)}.",
                "docs/reference/alerts.md has what each means.",
                f"limpet send {name} get_status; in safe mode get_crash.",
            )


def _words(said: Any) -> list[str]:
    return [word(each) for each in said] if isinstance(said, list) else []


def _statuses(facts: Facts) -> dict[str, dict[str, Any]]:
    """Return the last status of each device of the fleet."""
    return {
        name: values
        for name, said in _of_devices(facts).items()
        for message, values in said
        if payloads.kind_of(message.topic) == topics.STATUS
    }


def _of_devices(facts: Facts) -> dict[str, list[tuple[Message, dict[str, Any]]]]:
    """Return what each device of the fleet has said, by its name, as far as it is JSON."""
    names = {base: name for name, base in facts.bases.items()}
    found = defaultdict(list)
    for each in facts.messages:
        name = names.get(_base(each.topic))
        values = payloads.decode(each.payload) if name else None
        if name and values is not None:
            found[name].append((each, values))
    return found


def _base(topic: str) -> str:
    return "/".join(topic.split("/")[: payloads.BASE_LEVELS])


def _is_of_device(facts: Facts, message: Message) -> bool:
    levels = message.topic.split("/")
    # What is said to nobody by `limpet health` and by us goes to an operator's name.
    return len(levels) > payloads.BASE_LEVELS and levels[4] not in facts.consumers
