"""mosquitto with the configuration that limpet writes, changed until it is wrong."""

from __future__ import annotations

from collections.abc import Mapping

from limpet.brokers import written
from limpet.brokers.mosquitto.renderer import ACL, login_port
from limpet.identity.provisioning import Setup
from support.brokers.mosquitto import Mosquitto


class WrongMosquitto(Mosquitto):
    """changes: what to put in place of what of mosquitto.conf. acl: the whole file, if another.
    more: lines behind.
    """

    def __init__(
        self,
        setup: Setup,
        ports: tuple[int, int],
        changes: Mapping[str, str] | None = None,
        *,
        acl: str | None = None,
        more: str = "",
    ) -> None:
        super().__init__(setup)
        self.port, self.plain_port = ports
        self.login_port = login_port(self.port)
        self._changes = changes or {}
        self._acl = acl
        self._lines = more

    def _started(self) -> bool:
        conf = written.write_mosquitto(self.setup.layout, self.host, self.port)
        text = conf.read_text()
        for right, wrong in self._changes.items():
            assert right in text, right
            text = text.replace(right, wrong)
        conf.write_text(text + self._lines)
        if self._acl is not None:
            (conf.parent / ACL).write_text(self._acl)
        return self._runs(conf)
