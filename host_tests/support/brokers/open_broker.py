"""A broker on loopback that lets everybody in without TLS, as examples of MQTT clients want it.

For what those do; what our own rules and sessions make of a client is tried with the others here.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from pathlib import Path
from typing import Self

import paho.mqtt.publish
from limpet.operating.levers.looped import Looped
from support.ports import standing_ports

LOOPBACK = "127.0.0.1"
KINDS = ("amqtt", "mosquitto")


class OpenBroker(Looped):
    """`with OpenBroker(kind, folder) as broker:` runs it on `broker.port`; kind: one of KINDS."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__("open broker")
        self.port = standing_ports(1)[0]
        self._kind = kind
        self._folder = folder

    def retain(self, topic: str, payload: str) -> None:
        """Say something that who subscribes later still hears."""
        paho.mqtt.publish.single(
            topic, payload, qos=1, retain=True, hostname=LOOPBACK, port=self.port
        )

    def __enter__(self) -> Self:
        if self._kind == "mosquitto":
            self._start_mosquitto()
        else:
            self._start_loop()
            self._run(self._start_amqtt())
        return self

    def __exit__(self, *_: object) -> None:
        if self._kind == "mosquitto":
            self._process.kill()  # there is nothing to be kept
            self._process.wait()
            self._drain.join()
        else:
            self._run(self._stop_amqtt())
            self._end_loop()

    def _start_mosquitto(self) -> None:
        from limpet.brokers.mosquitto.program import mosquitto

        conf = self._folder / "open.conf"
        conf.write_text(f"listener {self.port} {LOOPBACK}\nallow_anonymous true\n")
        self._process = subprocess.Popen(
            [*mosquitto(), "-c", str(conf)], stderr=subprocess.PIPE, text=True
        )
        assert self._process.stderr
        said = []
        for line in self._process.stderr:
            said.append(line)
            if line.rstrip().endswith("running"):
                break
        else:
            raise RuntimeError("mosquitto does not start:\n" + "".join(said))
        self._drain = threading.Thread(target=said.extend, args=(self._process.stderr,))
        self._drain.start()

    async def _start_amqtt(self) -> None:
        from amqtt.broker import Broker, BrokerConfig
        from amqtt.contexts import ListenerConfig

        listeners = {"default": ListenerConfig(bind=f"{LOOPBACK}:{self.port}")}
        everybody = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
        self._broker = Broker(BrokerConfig(listeners=listeners, plugins=everybody))
        await self._broker.start()

    async def _stop_amqtt(self) -> None:
        await self._broker.shutdown()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
