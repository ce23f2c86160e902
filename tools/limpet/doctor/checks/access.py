"""Who gets in, and who reads and writes what is not his. Pure."""

import ipaddress
from collections.abc import Iterator

from limpet.brokers import rules
from limpet.doctor.facts import Facts, Visit
from limpet.doctor.finding import Finding, listed
from limpet.shared.firmware import rules as host_rules

_OWN_FILES = "`limpet broker-config mosquitto` writes all of it: docs/your-own-broker.md."


def _is_loopback(facts: Facts) -> bool:
    return host_rules.is_loopback(facts.address or facts.host)


def anonymous(facts: Facts) -> Iterator[Finding]:
    """Somebody without name, password and certificate is let in."""
    for door in facts.doors:
        if door.admits:
            yield Finding(
                "critical",
                f"Port {door.port} lets in who shows nothing: no name, no certificate.",
                "Whoever reaches it hears what its rules give to all, or everything.",
                f"`allow_anonymous false`, and with TLS `require_certificate true`. {_OWN_FILES}",
            )


def plaintext(facts: Facts) -> Iterator[Finding]:
    """MQTT is answered without TLS."""
    for door in facts.doors:
        if door.speaks and not door.tls:
            here = _is_loopback(facts)
            yield Finding(
                "warning" if here else "critical",
                f"Port {door.port} speaks MQTT without TLS.",
                "Passwords and Readings can be read and changed on their way"
                + (", though only by this machine, as far as is seen here." if here else "."),
                f"Take out that listener, or bind it to 127.0.0.1. {_OWN_FILES}",
            )


def public(facts: Facts) -> Iterator[Finding]:
    """It is a broker for everybody, or at an address that everybody reaches."""
    if host_rules.is_public(facts.host):
        yield Finding(
            "critical",
            f"{facts.host} is a broker for everybody.",
            "All that is said there is public, and anybody may say it.",
            "A broker of your own: docs/your-own-broker.md.",
        )
        return
    try:
        is_global = ipaddress.ip_address(facts.address).is_global
    except ValueError:
        return
    if is_global:
        yield Finding(
            "note",
            f"{facts.address} is an address of the whole Internet.",
            "Everybody may knock; certificates alone keep them out, and each costs a handshake.",
            "Let its firewall take in the networks of your devices alone, if they are known.",
        )


def old_tls(facts: Facts) -> Iterator[Finding]:
    """A version of TLS is taken that is broken."""
    for door in facts.doors:
        if door.old_tls:
            yield Finding(
                "warning",
                f"Port {door.port} takes {door.old_tls}.",
                "It was given up in 2021 (RFC 8996): its signatures can be forged.",
                f"`tls_version tlsv1.2` means that version and later ones. {_OWN_FILES}",
            )


def stranger(facts: Facts) -> Iterator[Finding]:
    """A certificate of the fleet's CA, for a name that is in no registry, opens something."""
    known = {*facts.bases, *facts.consumers, *facts.revoked}
    for visit in facts.visits:
        if visit.name in known or not (visit.read or visit.wrote):
            continue
        done = [*(["hears"] if visit.read else []), *(["says"] if visit.wrote else [])]
        yield Finding(
            "critical",
            f"A certificate of your CA for a name that nobody has {' and '.join(done)} what is "
            f"the fleet's: {listed([*visit.read, *visit.wrote])}.",
            "The broker has no list of who may do what: any device may do everything, and so may "
            "one that was removed.",
            f"It needs `acl_file`. {_OWN_FILES}",
        )


def foreign_read(facts: Facts) -> Iterator[Finding]:
    """A device, or a program, is given what is not its own."""
    for visit, grant in _granted(facts):
        foreign = [topic for topic in visit.read if not grant.may_read(topic)]
        if foreign:
            yield Finding(
                "critical" if visit.name in facts.bases else "warning",
                f"{visit.name} reads what is not its own: {listed(foreign)}.",
                "Who takes one board from its wall, or one program's key, listens to all others.",
                f"Each client needs its own lines in the rules. {_OWN_FILES}",
            )


def foreign_write(facts: Facts) -> Iterator[Finding]:
    """What a device says on a topic of others is delivered."""
    for visit, grant in _granted(facts):
        foreign = [topic for topic in visit.wrote if not grant.may_write(topic)]
        if foreign:
            yield Finding(
                "critical",
                f"{visit.name} writes what is not its own: {listed(foreign)}.",
                "One stolen board can command the others, and forge what they say.",
                f"Each client needs its own lines in the rules. {_OWN_FILES}",
            )


def _granted(facts: Facts) -> Iterator[tuple[Visit, rules.Grant]]:
    for visit in facts.visits:
        if grant := rules.grant(visit.name, facts.bases, facts.consumers):
            yield visit, grant


def take_over(facts: Facts) -> Iterator[Finding]:
    """Who calls itself as another client does takes that one's place."""
    if facts.takes_over:
        yield Finding(
            "warning",
            "A client that names another one's client id takes its place, whatever its certificate "
            "says.",
            "One device can throw out any other, again and again.",
            "mosquitto: `use_identity_as_username true` and `use_username_as_clientid true`. NATS "
            f"cannot do better (docs/brokers.md). {_OWN_FILES}",
        )
