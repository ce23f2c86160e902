"""The kinds of brokers there are for tests, and fixtures that run one.

BROKER=mosquitto takes mosquitto instead of the embedded one, with the configuration that provision
writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from limpet.brokers.embedded.broker import EmbeddedBroker
from limpet.brokers.setup import open_setup
from limpet.identity import passwords
from limpet.identity.authority import Authority
from limpet.identity.provisioning import Setup
from limpet.shared import private
from support.brokers.mosquitto import Mosquitto
from support.brokers.running import DEVICES, KIND, PASSWORD, RunningBroker, fields
from support.fleets import fleet


class Embedded(RunningBroker):
    """The embedded broker, in this process."""

    kind = "amqtt"

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.embedded = EmbeddedBroker(setup.layout.root, plain=True)

    def start(self) -> None:
        """Start on the port of last time, or on a free one."""
        self._held.release()
        self.port = self.login_port = self.embedded.start()
        self.plain_port = self.embedded.plain_port or 0

    def stop(self) -> None:
        """Stop listening and close all connections."""
        self.embedded.stop()
        self._held.hold(self.port, self.plain_port)

    def crash(self) -> None:
        """Stop: it lives in this process, and has everything in memory, so more cannot be lost."""
        self.stop()


def of_kind(kind: str, setup: Setup) -> RunningBroker:
    """Return a broker that is not yet started."""
    return Mosquitto(setup) if kind == "mosquitto" else Embedded(setup)


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """Make one set-up per session: certificates are not what most tests are about."""
    return set_up(tmp_path_factory.mktemp("setup") / "dev")


def set_up(folder: Path) -> Setup:
    """Make a fleet there with the tests' devices."""
    made = open_setup(fleet(folder))
    for device_id in DEVICES:
        made.device(fields(device_id))
        passwords.set_password(made.layout, device_id, PASSWORD)
    return made


@pytest.fixture(autouse=True)
def set_up_as_it_was(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take out again who a test has let into the set-up, which the tests of a session share; what a
    fixture of a wider scope has let in stays as long as that.
    """
    if "setup" not in request.fixturenames:
        yield
        return
    layout = request.getfixturevalue("setup").layout
    folders = (layout.devices, layout.operators)
    registry = layout.registry.read_bytes()
    there = {each for folder in folders for each in folder.glob("*")}
    yield
    for each in {each for folder in folders for each in folder.glob("*")} - there:
        shutil.rmtree(each)
    if layout.registry.read_bytes() != registry:
        private.write(layout.registry, registry)
        open_setup(layout.root)  # which makes what brokers have of it


@pytest.fixture(scope="session")
def foreign() -> Authority:
    """Make a CA that no broker here knows."""
    return Authority.new("Foreign CA")


@pytest.fixture
def broker(setup: Setup) -> Iterator[RunningBroker]:
    """Run a broker of the kind that BROKER names, empty."""
    running = of_kind(KIND, setup)
    running.start()
    yield running
    running.close()
