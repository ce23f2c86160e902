"""`limpet provision` for many devices at once: all checked, then made, and what was done in words.

It may be interrupted: the same command goes on where it was.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from limpet.brokers import age
from limpet.brokers.setup import open_setup
from limpet.fleet import device_list, provision_mosquitto
from limpet.fleet.device_list import Line
from limpet.identity import batch, device_config, passwords
from limpet.identity.batch import Order, Outcome
from limpet.identity.device_config import check
from limpet.identity.fleet_settings import Settings
from limpet.identity.layout import Layout
from limpet.identity.provisioning import with_fields
from limpet.shared import bar
from limpet.shared.firmware import errors
from limpet.shared.plain import plural

Auth = Literal["mtls", "password"]


@dataclass(frozen=True)
class Many:
    """What was said of all of them. given: fields that a line may have otherwise; names: more of
    the broker's, for its certificate; auth: how they prove themselves, None as they do.
    """

    root: Path
    settings: Settings
    given: dict[str, Any]
    names: Sequence[str]
    auth: Auth | None


def provision(many: Many, lines: list[Line], what: str) -> dict[str, Any]:
    """Make the devices of `lines`, and change those that are there; return their names, by what was
    done. `what` names the list. Raises Problem before anything is made where one of them is none,
    with all that are.
    """
    layout = Layout(many.root)
    orders = _orders(many, layout, lines, what)
    brokers = dict.fromkeys(host for each in orders for host in device_config.hosts(each.fields))
    hosts = (order.fields.get("server_hostname") for order in orders)
    old = age.old_files(layout)  # opening makes them anew
    names = [*many.settings.server_names(), *brokers, *filter(None, hosts), *many.names]
    setup = open_setup(many.root, list(dict.fromkeys(names)))
    outcome, begun = Outcome(), time.monotonic()
    try:
        with bar.counted(plural(len(orders), "device"), len(orders)) as told:
            batch.provision(setup, orders, outcome, told)
    except BaseException:
        print(f"{_said(outcome)}; the same command goes on from there")
        raise
    took = time.monotonic() - begun
    print(f"{_said(outcome)}, in {took:.1f} s: {layout.devices}")
    if setup.server_renewed:
        print("broker: it has a new certificate; restart it, or have it read that")
    age.tell_renewed(old)
    login = any(order.given.get("password") for order in orders)
    provision_mosquitto.update(setup, orders[0].device_id, login)
    return {
        "made": outcome.made,
        "changed": outcome.changed,
        "kept": outcome.kept,
        "broker_renewed": setup.server_renewed,
    }


def _said(outcome: Outcome) -> str:
    return (
        f"devices: {len(outcome.made):,} made, {len(outcome.changed):,} changed, "
        f"{len(outcome.kept):,} there already"
    )


def _orders(many: Many, layout: Layout, lines: list[Line], what: str) -> list[Order]:
    """Return what is to be done of each line; raises Problem."""
    orders, faults, consumers = [], [], layout.consumers()
    begins = many.settings.fields()
    for where, said in lines:
        given = many.given | said
        name = str(given["device_id"])
        login = many.auth == "password" and not _logs_in(layout, name)
        if "password" in given or login:
            given = {"username": name, "password": passwords.generated()} | given
        elif many.auth == "mtls":
            given |= {"username": None, "password": None}
        try:
            fields = with_fields(begins, given)
            check(fields)
            if name in consumers:
                raise errors.ConfigError("device_id", "is a consumer's name")
            orders.append(Order(fields, given))
        except errors.ConfigError as error:
            faults.append(f"{where}: {error.field}: {error.text}")
    device_list.refuse(what, faults)
    return orders


def _logs_in(layout: Layout, name: str) -> bool:
    """Whether a device has a password already, which then stays."""
    known = layout.registered().devices.get(name)
    return known is not None and known.auth == "password" and layout.device(name).exists()
