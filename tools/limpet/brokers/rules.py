"""Who may write and read which topics: the one list behind the embedded broker and mosquitto's ACL.

Pure: names and topics in, yes or no out. How a client proved its name is not its business.
"""

from collections.abc import Mapping
from typing import NamedTuple

from limpet.identity.registry import Role
from limpet.shared.firmware import topics

# Counts the changes of this list. Every file that a broker has of it says by which it was made, and
# age.py which one is older: what such a broker does not know, it acknowledges and drops. Those of
# the first one had no number.
VERSION = 3

# No node uses them yet: what is to be set from afar will come and be told there.
DESIRED = "config/desired"
REPORTED = "config/reported"

# Below a device's own base topic. `reply_to` may be one level below commands/response, hence the
# `+`.
DEVICE_WRITES = (
    topics.TELEMETRY,
    topics.BACKLOG,
    topics.STATUS,
    topics.HEALTH,
    topics.ALERTS,
    topics.RESPONSE,
    f"{topics.RESPONSE}/+",
    REPORTED,
)
# What is meant to be kept for who comes later. All else is of its moment, and a broker that can
# keeps none of it, as each retained Message takes memory for ever.
RETAINED = (topics.STATUS, DESIRED, REPORTED)
# A node reads its own status back: that is how it notices a lost subscription and a late will. Its
# own backlog it reads to see that this topic is heard, before it relies on it.
DEVICE_READS = (topics.COMMANDS, DESIRED, topics.STATUS, topics.BACKLOG)

# Below an organisation. What everybody in it reads, nobody in it writes: the broker says it itself
# (time_signal.py).
MEMBERS_READ = (topics.TIME,)
# Site, zone, type and device are any. Nothing that a device says can be forged.
OPERATOR_READS = ("#",)
COMMANDS = f"+/+/+/+/{topics.COMMANDS}"
OPERATOR_WRITES = (COMMANDS, f"+/+/+/+/{DESIRED}")
BROKER_FIGURES = "$SYS/#"

# Beside the organisations. Home Assistant runs the templates that it is told here, so no device may
# write there: one that is stolen would run its own. `limpet homeassistant` does it for all.
DISCOVERY = ("homeassistant/device/+/config", "homeassistant/device/+/problem")
# By it Home Assistant says that it has started, and wants to be told again.
HASS_STATUS = "homeassistant/status"
HASS_ALL = "homeassistant/#"


class Rights(NamedTuple):
    """What a role may do. below: what it writes below each organisation, of which every role reads
    all; writes, reads: topics beside them.
    """

    below: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


ROLES: dict[Role, Rights] = {
    "operate": Rights(OPERATOR_WRITES, (), (BROKER_FIGURES,)),
    "read": Rights((), (), (BROKER_FIGURES,)),
    "discovery": Rights((), DISCOVERY, (*DISCOVERY, HASS_STATUS)),
    "home-assistant": Rights((COMMANDS,), (HASS_STATUS,), (HASS_ALL,)),
}


class Grant(NamedTuple):
    """The topic filters below which a client may write and read."""

    writes: tuple[str, ...]
    reads: tuple[str, ...]

    def may_write(self, topic: str) -> bool:
        """True when the client may publish to `topic`, its will included."""
        # A wildcard is nothing that could be published to, and `+` would be covered by `+`.
        wild = "+" in topic or "#" in topic
        return not wild and any(covers(own, topic) for own in self.writes)

    def may_retain(self, topic: str) -> bool:
        """True when what the client publishes to `topic` may be retained."""
        return Grant(self.retained(), ()).may_write(topic)

    def retained(self) -> tuple[str, ...]:
        """Return the topic filters of what the client writes that may be retained."""
        return tuple(filter(is_kept, self.writes))

    def may_read(self, wanted: str) -> bool:
        """True when the client may be given all that the topic or filter `wanted` stands for."""
        return any(covers(own, wanted) for own in self.reads)


def grant(name: str, bases: Mapping[str, str], consumers: Mapping[str, Role]) -> Grant | None:
    """Return what the client `name` may do, or None when nobody of that name is known.

    bases: base topic of each device by its id, as provisioned; never what a client said of itself.
    consumers: the role of each program that is no device. Both are as Layout has them.
    """
    if role := consumers.get(name):
        orgs, rights = organisations(bases), ROLES[role]
        below = (f"{org}/{suffix}" for org in orgs for suffix in rights.below)
        every = (f"{org}/{suffix}" for org in orgs for suffix in OPERATOR_READS)
        return Grant((*below, *rights.writes), (*rights.reads, *every))
    base = bases.get(name)
    if base is None:
        return None
    org = base.split("/", 1)[0]
    return Grant(
        tuple(f"{base}/{suffix}" for suffix in DEVICE_WRITES),
        (
            *(f"{base}/{suffix}" for suffix in DEVICE_READS),
            *(f"{org}/{suffix}" for suffix in MEMBERS_READ),
        ),
    )


def is_kept(topic: str) -> bool:
    """True for a topic, or a filter of topics, whose Messages are meant to be retained."""
    kept = tuple(f"/{each}" for each in RETAINED)
    return topic.endswith(kept) or any(covers(each, topic) for each in DISCOVERY)


def organisations(bases: Mapping[str, str]) -> list[str]:
    """Return the first levels of all base topics, sorted, each once."""
    return sorted({base.split("/")[0] for base in bases.values()})


def covers(own: str, wanted: str) -> bool:
    """True when every topic that `wanted` (a topic or a filter) matches is matched by the filter
    `own`.

    MQTT 3.1.1 section 4.7: `a/#` includes `a`; a wildcard in front does not reach `$...`.
    """
    if wanted.startswith("$") and own[0] in "+#":
        return False
    owned, asked = own.split("/"), wanted.split("/")
    for index, level in enumerate(owned):
        if level == "#":
            return True
        if index >= len(asked) or asked[index] == "#":
            return False
        if level not in ("+", asked[index]):
            return False
    return len(owned) == len(asked)
