"""RabbitMQ, run for a test: alone, or as a member of a cluster.

It has a home and an epmd of its own, so that it meets no other Erlang of the machine.
"""

from __future__ import annotations

import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path

from limpet.brokers import written
from limpet.brokers.plan import Plan
from limpet.brokers.rabbitmq import program, renderer
from limpet.identity.provisioning import Setup
from limpet.shared import private
from support.brokers.served import Served
from support.ports import standing_ports

_COOKIE = ".erlang.cookie"


class Home:
    """What members of one cluster share: the cookie, and the port mapper by which they meet."""

    def __init__(self, folder: Path) -> None:
        self.folder = private.folder(folder)
        if not (folder / _COOKIE).exists():
            private.write(folder / _COOKIE, secrets.token_hex(32).encode())
        (self._port,) = standing_ports(1)
        self._epmd = Served("epmd")

    def start(self) -> None:
        """Start the port mapper."""
        where = ["-port", str(self._port), "-address", "127.0.0.1"]
        self._epmd.start([*program.rabbitmq().epmd, *where], self.environment())

    def environment(self) -> dict[str, str]:
        """Return the environment of whatever is started there."""
        return program.rabbitmq().environment(self.folder, self._port)

    def stop(self) -> None:
        """End the port mapper. Twice does no harm."""
        self._epmd.stop()


class RabbitMQ:
    """One member, by the files of a plan. home: of a cluster, with `peers`, the names of all; where
    there is none it is alone.
    """

    kind = "rabbitmq"

    def __init__(
        self,
        setup: Setup,
        name: str = "limpet@localhost",
        home: Home | None = None,
        peers: Sequence[str] = (),
    ) -> None:
        self._layout = setup.layout
        self.served = Served(name)
        self._own_home = home is None
        self._home = home
        self._peers = peers
        (self._port,) = standing_ports(1)

    def start(self, plan: Plan) -> int:
        """Write the files of `plan` into its folder and start by them; return the port, once it
        takes clients. Raises Problem, RuntimeError.
        """
        self.begin(plan)
        self.ready()
        return plan.port

    def begin(self, plan: Plan) -> None:
        """Write and start, and wait for nothing."""
        folder = plan.folder
        written.put(self._layout, self.kind, plan)
        if self._peers:
            text = renderer.cluster_conf(self._peers)
            private.write(folder / renderer.CLUSTER_CONF, text.encode())
        # As whoever starts it by hand does.
        _, link, _ = renderer.start(plan)
        subprocess.run(["sh", "-c", link], check=True, timeout=60)
        if self._home is None:
            self._home = Home(folder / "home")
        if self._own_home:
            self._home.start()
        self._since = len(self.served.lines)
        member = program.member(self.served.name, folder, self._port)
        command = program.rabbitmq().server
        self.served.start(command, {**self._home.environment(), **member})

    def ready(self) -> None:
        """Wait until it takes clients."""
        self.served.until("Server startup complete", self._since)

    def healthy(self) -> bool:
        """Whether it runs and has started."""
        said = self.served.lines[self._since :]
        return self.served.running and any("Server startup complete" in line for line in said)

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        self.served.kill()

    def stop(self) -> None:
        """End it. Twice does no harm."""
        self.served.stop()
        if self._own_home and self._home:
            self._home.stop()
