"""NATS with JetStream, run for a test: alone, or as a member of a cluster."""

from __future__ import annotations

import signal
import time
import urllib.request

from limpet.brokers import written
from limpet.brokers.nats import renderer
from limpet.brokers.nats.program import nats_server
from limpet.brokers.nats.renderer import Member
from limpet.brokers.plan import Plan
from limpet.identity.provisioning import Setup
from limpet.shared import private
from support.brokers.served import START_S, Served


class Nats:
    """One server, by the files of a plan. member: what it is in a cluster."""

    kind = "nats"

    def __init__(self, setup: Setup, member: Member | None = None) -> None:
        self._layout = setup.layout
        self.served = Served(member.name if member else "nats-server")
        self._member = member

    def start(self, plan: Plan) -> int:
        """Write the files of `plan` into its folder and start by them; return the port, once it
        takes clients. Raises Problem, RuntimeError.
        """
        self.begin(plan)
        self.ready()
        return plan.port

    def begin(self, plan: Plan) -> None:
        """Write and start, and wait for nothing."""
        written.put(self._layout, self.kind, plan)
        conf = plan.folder / renderer.CONF
        if self._member:
            conf = plan.folder / renderer.MEMBER_CONF
            private.write(conf, renderer.member_conf(self._member).encode())
        self._since = len(self.served.lines)
        self.served.start([*nats_server(), "-c", str(conf)])

    def ready(self) -> None:
        """Wait until it takes clients; in a cluster, until it has caught up with the others."""
        self.served.until("Listening for MQTT clients", self._since)
        self.served.until("Server is ready", self._since)
        deadline = time.monotonic() + START_S
        while self._member and not self.healthy():
            if time.monotonic() > deadline:
                raise RuntimeError(self.served.last("is not healthy"))
            time.sleep(0.1)

    def reload(self, plan: Plan) -> None:
        """Write the files of `plan`, and have it read them anew."""
        written.put(self._layout, self.kind, plan)
        since = len(self.served.lines)
        self.served.signal(signal.SIGHUP)
        self.served.until("Reloaded server configuration", since)

    def healthy(self) -> bool:
        """Whether a member says that it is well."""
        assert self._member
        where = f"http://127.0.0.1:{self._member.monitor}{renderer.HEALTH}"
        try:
            with urllib.request.urlopen(where, timeout=2) as said:
                return bool(said.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a machine that loses its power."""
        self.served.kill()

    def stop(self) -> None:
        """End it. Twice does no harm."""
        self.served.stop()
