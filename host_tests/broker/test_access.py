"""The access matrix, on each kind of broker that runs here, and the table of it in the docs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from limpet.brokers.emqx.renderer import CONF
from support.brokers import matrix, matrix_readings, matrix_table
from support.brokers.matrix_cases import CASES
from support.brokers.matrix_kinds import KINDS


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.long] if kind == "rabbitmq" else [])
        for kind in sorted(KINDS)
    ],
)
def test_matrix(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Nobody can do what he may not, everybody what he may, but for what the table says; and the
    table in the docs says what was seen.
    """
    setup = matrix.prepared(tmp_path / "fleet")
    with matrix.world(KINDS[kind](setup), setup, tmp_path / "broker") as world:
        seen = {case.name: case.seen(world) for case in CASES}
    matrix_table.held(kind, seen, write=request.config.getoption("--write-access"))


def test_rules_that_are_only_read(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """What EMQX's and AWS's rules come to, read as their manuals say, is the same matrix. Neither
    was run.
    """
    assert {case.name for case in CASES} == {*matrix_readings.TRIES, *matrix_readings.HANDSHAKES}
    setup = matrix.prepared(tmp_path / "fleet")
    setup.revoke(matrix.REVOKED)
    files = matrix_readings.files(matrix.plan(setup, tmp_path / "broker"))
    write = request.config.getoption("--write-access")
    for kind, read, elsewhere, else_ in (
        ("EMQX, read", matrix_readings.by_emqx, matrix_readings.HANDSHAKES, "no"),
        ("AWS, read", matrix_readings.by_aws, matrix_readings.BY_AWS, "by AWS"),
    ):
        seen = {
            case.name: ("yes" if read(files, matrix_readings.TRIES[case.name]) else "no")
            if case.name not in elsewhere
            else else_
            for case in CASES
        }
        matrix_table.held(kind, seen, write=write)
    for line in (
        "verify = verify_peer",
        "fail_if_no_peer_cert = true",
        "peer_cert_as_clientid = cn",
        "peer_cert_as_username = cn",
        'versions = ["tlsv1.3", "tlsv1.2"]',
        "no_match = deny",
        "listeners.tcp.default.enable = false",
    ):
        assert f"{line}\n" in files[CONF]


def test_a_policy_of_aws_fits_into_its_limits(tmp_path: Path) -> None:
    """2,048 characters without white space, and no topic of more than seven slashes."""
    setup = matrix.prepared(tmp_path / "fleet")
    files = matrix_readings.files(matrix.plan(setup, tmp_path / "broker"))
    for name, text in files.items():
        if name.startswith("limpet-"):
            assert len("".join(text.split())) <= 2048, name
    things = json.loads(files["things.json"])["things"]
    for each in things:
        for value in each["attributes"].values():
            assert re.fullmatch(r"[a-zA-Z0-9_.,@/:#=\[\]-]{1,800}", value)
            assert value.count("/") + 3 <= 7


def test_emqxs_compose_file_is_yaml(tmp_path: Path) -> None:
    """Three nodes that know each other, and one address before them."""
    setup = matrix.prepared(tmp_path / "fleet")
    made = matrix_readings.files(matrix.plan(setup, tmp_path / "broker"))
    compose = yaml.safe_load(made["compose.yaml"])
    assert set(compose["services"]) == {"emqx1", "emqx2", "emqx3", "haproxy"}
    for name in ("emqx1", "emqx2", "emqx3"):
        environment = compose["services"][name]["environment"]
        assert environment["EMQX_NODE__NAME"] == f"emqx@{name}.limpet"
        assert f"emqx@{name}.limpet" in environment["EMQX_CLUSTER__STATIC__SEEDS"]
        assert f"server {name} {name}.limpet:8883" in made["haproxy.cfg"]
