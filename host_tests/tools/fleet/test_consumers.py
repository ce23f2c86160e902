"""`limpet operator`: what it asks, what it renews, and what it says to programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from limpet.brokers.setup import open_setup
from limpet.fleet import consumers, locking_out
from limpet.identity import authority
from limpet.identity import consumers as identities
from limpet.identity.operators import operator_identity
from limpet.identity.provisioning import Setup
from limpet.shared.problem import Problem
from support.brokers.running import fields
from support.fleets import fleet
from support.tool import limpet

YEAR = timedelta(days=365)


@pytest.fixture
def made(tmp_path: Path) -> Setup:
    """A fleet of a device and a program."""
    setup = open_setup(fleet(tmp_path / "fleet"))
    setup.device(fields("node-1"))
    identities.add(setup, "desk", "read")
    return setup


def _shortened(setup: Setup, name: str, days: int) -> None:
    """Have the certificate of a consumer end that soon."""
    key, certificate = setup.layout.operator_pair(name)
    short = setup.authority.client(name, valid=timedelta(days=days))
    key.write_bytes(short.key_pem())
    certificate.write_bytes(short.pem())


def test_remove_asks(made: Setup) -> None:
    """As every verb that cannot be undone; --yes does not, and --json says what was done."""
    root = made.layout.root
    alone = limpet("operator", "remove", "desk", "--fleet", root)
    assert alone.returncode == 1
    assert alone.stderr == "limpet: There is nobody to ask. Nothing was removed.\nSay --yes.\n"
    assert "desk" in made.layout.consumers()
    unknown = limpet("operator", "remove", "desks", "--fleet", root)
    assert "No consumer is called 'desks'." in unknown.stderr
    done = limpet("operator", "remove", "desk", "--yes", "--json", "--fleet", root)
    assert json.loads(done.stdout) == {"removed": "desk", "to_do": []}
    assert "desk is out of the fleet" in done.stderr
    assert "desk" not in made.layout.consumers()


def test_renew_of_what_is_due(made: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """What ends within 30 days, or has, and a pair that does not belong together; the rest stays.
    The registry knows the new certificate, so that it can be revoked.
    """
    layout = made.layout
    for name, days in (("desk", 29), ("operator", -1), ("operator-2", 31)):
        _shortened(made, name, days)
    layout.operator_pair("operator-3")[0].write_bytes(made.authority.client("x").key_pem())
    before = {name: layout.operator_pair(name)[1].read_bytes() for name in layout.consumers()}
    consumers.renew(fleet=layout.root, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said == {"renewed": ["operator", "operator-3", "desk"], "in_use": []}
    for name, old in before.items():
        new = layout.operator_pair(name)[1].read_bytes()
        assert (new != old) == (name in said["renewed"]), name
        end = authority.load(*layout.operator_pair(name)).expires
        assert (end > datetime.now(UTC) + 9 * YEAR) == (name != "operator-2")
    serial = f"{authority.load_certificate(layout.operator_pair('desk')[1]).serial_number:x}"
    assert serial in layout.registered().consumers["desk"].certificates


def test_fleet_renew_does_it_too(made: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """Without names; with a device's name, only that."""
    root = made.layout.root
    _shortened(made, "desk", 5)
    locking_out.renew("node-1", fleet=root, as_json=True)
    assert json.loads(capsys.readouterr().out)["programs"] == []
    locking_out.renew(fleet=root, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert (said["programs"], said["renewed"]) == (["desk"], [])


def test_renew_of_what_is_in_use(made: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """A program that runs keeps its identity; the others get theirs, and it is told."""
    root = made.layout.root
    used = operator_identity(root, "desk")
    old = used.cert.read_bytes()
    with pytest.raises(Problem, match=r"Not renewed, as a program has it: desk\."):
        consumers.renew("operator-4", "desk", fleet=root)
    assert "new keys and certificates: operator-4\n" in capsys.readouterr().out
    assert used.cert.read_bytes() == old
    used.release()
    consumers.renew("desk", fleet=root)
    assert used.cert.read_bytes() != old
    with pytest.raises(Problem, match="No consumer is called 'x'"):
        consumers.renew("operator-4", "x", fleet=root)


def test_add_says_what_it_made(made: Setup, capsys: pytest.CaptureFixture[str]) -> None:
    """To a program on standard output, to a person on the other one."""
    consumers.add("wall", fleet=made.layout.root, as_json=True)
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert (said["made"], said["name"], said["role"]) == (True, "wall", "operate")
    assert "hears everything, and sends Commands" in err
    table = limpet("fleet", "list", "--offline", "--fleet", made.layout.root).stdout
    assert "\ncertificates until: broker 20" in table
    assert ", programs 20" in table
