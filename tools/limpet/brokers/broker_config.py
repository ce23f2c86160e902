"""`limpet broker-config`: writes a broker's configuration from the fleet's registry."""

import contextlib
import ipaddress
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from limpet.brokers import kinds, written
from limpet.brokers.mosquitto import files as mosquitto_files
from limpet.brokers.mosquitto import renderer as mosquitto
from limpet.brokers.plan import Plan
from limpet.brokers.setup import open_setup
from limpet.brokers.written import Written
from limpet.identity import fleet_settings
from limpet.identity.fleet_folder import FleetOption, required
from limpet.identity.provisioning import Setup
from limpet.shared.numbers import Port, whole
from limpet.shared.plain import plural
from limpet.shared.problem import Problem

Devices = Annotated[int, Parameter(converter=whole, validator=Number(gte=1, lte=1_000_000))]


def broker_config(
    kind: Literal["mosquitto", "rabbitmq", "nats", "emqx", "aws"],
    /,
    *,
    fleet: FleetOption = None,
    listen: str | None = None,
    port: Port | None = None,
    devices: Devices | None = None,
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Write the configuration of a broker: TLS and certificates only, and each client its rights.

    It is made from the fleet's registry, and kept up to date by each command that changes that.

    Parameters
    ----------
    kind
        Which broker.
    listen
        Address to listen on; 0.0.0.0 is all. It goes into the broker's certificate, too [default:
        where the devices look for it].
    port
        Port to listen on, with TLS [default: where the devices look for it].
    devices
        How many devices to size it for, if there are to be more [default: as there are, with room].
    out
        Write into this folder, with copies of the certificates and of the broker's key, instead of
        into the fleet; write it again when the registry has changed.
    as_json
        Print it as JSON.
    """
    if out and out.exists() and not out.is_dir():
        raise Problem(
            f"--out {out}: this is no folder.",
            "Several files are written: name a folder for them, or one that is to be made.",
        )
    root = required(fleet).root
    settings = fleet_settings.read(root)
    if listen is not None:
        listen = address(listen)
    setup = open_setup(root, [*settings.server_names(), *([listen] if listen else [])])
    folder = os.path.realpath(out) if out else ""
    if folder == str(kinds.own_folder(setup.layout.broker, kind)):
        folder = ""
    if listen is None and port is None and (said := _said_before(setup, kind, folder)):
        listen, port, chosen = said.listen, said.port, True
    else:
        chosen = listen is not None
        port = port or _port(setup, settings.port)
        listen = _where(setup, port, settings.address) if listen is None else listen
    size = written.size(len(setup.layout.bases()), devices or _size_before(setup, kind, folder))
    plan = written.write(setup.layout, Written(kind, folder, listen, port, size, chosen))
    if as_json:
        print(json.dumps(_as_json(kind, plan), indent=2))
    else:
        _tell(kind, plan)


def address(listen: str) -> str:
    """Return an address to listen on as renderers have it: '' for all. Raises Problem."""
    try:
        found = ipaddress.ip_address(listen)
    except ValueError:
        raise Problem(
            f"--listen {listen}: this is no address.",
            "Give one of this machine, such as 192.168.1.10, or 0.0.0.0 for all.",
        ) from None
    return "" if found.is_unspecified else str(found)


def _before(setup: Setup, kind: str, folder: str) -> Written | None:
    known = written.records(setup.layout)
    return next((each for each in known if (each.kind, each.folder) == (kind, folder)), None)


def _said_before(setup: Setup, kind: str, folder: str) -> Written | None:
    """Return the files that were written before, where somebody chose their address."""
    before = _before(setup, kind, folder)
    return before if before and before.chosen else None


def _size_before(setup: Setup, kind: str, folder: str) -> int:
    before = _before(setup, kind, folder)
    return before.devices if before else 0


def _port(setup: Setup, default: int) -> int:
    """Return the port on which the first device looks for a broker that asks for certificates."""
    first = next(iter(setup.configs()), None)
    return mosquitto_files.certificate_port(setup.layout, first.port if first else default)


def _where(setup: Setup, port: int, default: str) -> str:
    configs = setup.configs()
    if configs:
        return mosquitto.where(configs, port)
    with contextlib.suppress(Problem):
        return address(default)
    return ""


def _tell(kind: str, plan: Plan) -> None:
    limits, renderer = plan.limits, kinds.KINDS[kind]
    hosted = kind in kinds.HOSTED
    if not hosted:
        print(f"{kind}, sized for {plural(limits.devices, 'device')}: ", end="")
        print(f"{plural(limits.connections, 'connection')},")
        print(f"  {limits.memory_bytes >> 20} MB of memory, {limits.open_files} open files")
    for name in renderer.render(plan):
        print(f"  {plan.folder / name}")
    at = f"on {plan.listen}" if plan.listen else "on all addresses"
    if not hosted:
        print(f"It listens {at}, port {plan.port}, with TLS; each client needs its certificate.")
    if plan.passwords and kind == kinds.FIRST:
        print(f"It asks for passwords on port {mosquitto.login_port(plan.port)}.")
    print("Start it:")
    for command in renderer.start(plan):
        print(f"  {command}")
    print(f"When the registry has changed, have it {renderer.RELOAD}.")


def _as_json(kind: str, plan: Plan) -> dict[str, Any]:
    renderer = kinds.KINDS[kind]
    return {
        "kind": kind,
        "listen": plan.listen or "0.0.0.0",
        "port": plan.port,
        "files": [str(plan.folder / name) for name in renderer.render(plan)],
        "registry": plan.registry,
        "limits": asdict(plan.limits),
        "start": renderer.start(plan),
        "reload": renderer.RELOAD,
    }
