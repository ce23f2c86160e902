"""`limpet doctor --clear-retained FILTER`: what is retained there, shown, and cleared if that is
wanted.

Hardly anybody may write a device's topics but the device: those of one that is in the registry are
cleared in its name. For those of one that is gone there is nobody, where the broker goes by the
rules; then it is said what to do.
"""

import time
from collections import defaultdict
from pathlib import Path
from shlex import quote
from typing import Any

from limpet.brokers import rules
from limpet.doctor.looks.visitor import Visitor, tls_of
from limpet.doctor.looks.visits import entrance, own_identity
from limpet.fleet.report import reported
from limpet.fleet.seen import LIMIT_S, Heard
from limpet.identity import device_config
from limpet.identity.fleet_folder import option
from limpet.identity.layout import Layout
from limpet.operating.operator_client import OperatorClient
from limpet.operating.where import Where
from limpet.shared import asked, bar
from limpet.shared.firmware import errors
from limpet.shared.payloads import BASE_LEVELS
from limpet.shared.plain import safe, short
from limpet.shared.problem import Problem

_SHOWN = 20
# A device's topics are shorter.
_TOPIC = 200


def clear(where: Where, topic_filter: str, yes: bool, as_json: bool = False) -> int:
    """Show what is retained, ask, clear it, and look again. where: settled. Returns 0; raises
    Problem where something is left, or nobody agrees.
    """
    with reported(as_json) as said:
        remedy = _cleared(where, topic_filter, yes, said)
    if left := said["left"]:
        raise Problem(
            f"The broker keeps {', '.join(short(safe(each)) for each in left[:5])}"
            + (f" and {len(left) - 5:,} more." if len(left) > 5 else "."),
            remedy,
        )
    return 0


def _cleared(where: Where, topic_filter: str, yes: bool, said: dict[str, Any]) -> str:
    """Do it, note what was cleared and what is left, and return what to do about that."""
    heard = Heard()
    said |= {"filter": topic_filter, "cleared": [], "left": []}
    with OperatorClient(where, heard.take) as operator:
        operator.connect()
        found = _retained(operator, heard, topic_filter)
        if not found:
            print(safe(f"Nothing is retained on {topic_filter}."))
            return ""
        _show(found, Layout(where.root))
        if not yes:
            asked.agreed(f"Clear {_topics(len(found))}?", "Nothing was cleared.")
        _clear(operator, where, found)
        left = sorted({*_retained(operator, heard, topic_filter)} & {*found})
    print(f"cleared: {_topics(len(found) - len(left))}")
    said |= {"cleared": [each for each in found if each not in left], "left": left}
    return _remedy(where.root, left[0]) if left else ""


def _retained(operator: OperatorClient, heard: Heard, topic_filter: str) -> list[str]:
    heard.retained.clear()
    operator.subscribe([topic_filter])
    heard.wait(time.monotonic() + LIMIT_S)
    return sorted(
        topic for topic, payload in dict(heard.retained).items() if payload and topic[0] != "$"
    )


def _topics(count: int) -> str:
    return f"{count:,} topic{'' if count == 1 else 's'}"


def _show(found: list[str], layout: Layout) -> None:
    known = {*layout.bases().values()}
    for topic in found[:_SHOWN]:
        mark = "   of a device of the fleet" if _base(topic) in known else ""
        print(safe(f"  {short(topic)}{mark}"))
    if len(found) > _SHOWN:
        print(f"  and {len(found) - _SHOWN:,} more")


def _clear(operator: OperatorClient, where: Where, found: list[str]) -> None:
    layout = Layout(where.root)
    names = {base: name for name, base in layout.bases().items()}
    own = rules.grant(operator.identity.name, layout.bases(), layout.consumers())
    theirs = defaultdict(list)
    with bar.counted("clearing", len(found)) as told:
        for topic in found:
            name = names.get(_base(topic))
            if name is None or (own and own.may_write(topic)):
                operator.clear(topic)
                told(1)
            else:
                theirs[name].append(topic)
        for name, topics in theirs.items():
            _clear_as(operator, layout, name, topics)
            told(len(topics))


def _clear_as(operator: OperatorClient, layout: Layout, name: str, topics: list[str]) -> None:
    """Clear a device's topics in its name. One that is connected is thrown out for a moment."""
    try:
        config = device_config.load(layout.device(name))
        identity = own_identity(layout, name, config.key, config.cert)
    except (OSError, ValueError, errors.ConfigError) as error:
        raise Problem(
            f"{name} cannot be spoken for: {error}.", f"limpet fleet renew {name}"
        ) from None
    context = tls_of(layout.ca_certificate, operator.server_name, identity)
    at, login = entrance(config, (operator.host, operator.port))
    with Visitor(at, name, context, login=login, theirs=True) as device:
        if why := device.connect():
            raise Problem(f"The broker does not let {name} in: {why}.", f"limpet doctor {name}")
        for topic in topics:
            device.publish(topic, b"", retain=True)


def _base(topic: str) -> str:
    return "/".join(topic.split("/")[:BASE_LEVELS])


def _remedy(root: Path, topic: str) -> str:
    levels = (topic.split("/") + [""] * BASE_LEVELS)[:BASE_LEVELS]
    org, site, zone, kind, name = map(quote, levels)
    # What no device can be called is nobody's whom one could enter.
    named = all(levels) and topic.isprintable() and len(topic) <= _TOPIC
    if not named or levels[-1] in Layout(root).bases():
        return "Only who administers the broker can clear it: its rules let nobody write there."
    place = f"--org {org} --site {site} --zone {zone} --device-type {kind}"
    at = option(root)
    return (
        "Only the device may write there. Enter it once more, have the broker read that, and "
        f"retire it: limpet provision {name} {place}{at}; limpet fleet decommission {name}{at}"
    )
