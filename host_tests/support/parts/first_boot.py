"""The console of a first boot, with a network and a flash that are none, and what is said to it.

The network is stricter than the real one: it is joined once at a time, stepped while it is joined
and at no other time, and left in the end.
"""

import json
from binascii import b2a_base64, crc32

import improv
import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from node.config import config, settings
from node.config.provisioning import Provisioning

SECRETS = ("hunter2-hunter2", "beach-and-shells")
DEVICE = ("Limpet", "1.2.3", "esp32", "a board")
SSID = "caf\u00e9"


def der(*members: bytes) -> bytes:
    """Return a DER sequence."""
    body = b"".join(members)
    size = len(body)
    if size < 0x80:
        return bytes((0x30, size)) + body
    return bytes((0x30, 0x82, size >> 8, size & 255)) + body


def name(text: str, tag: int = 0x0C) -> bytes:
    """Return the part of a certificate that names somebody."""
    return b"\x06\x03\x55\x04\x03" + bytes((tag, len(text))) + text.encode()


def base64(data: bytes) -> str:
    """Return it as a line has it."""
    return b2a_base64(data)[:-1].decode()


POINT = b"\x03\x42\x00\x04" + b"p" * 64
CA = der(der(name("Limpet CA"), b"\x02" * 300))
CERT = der(der(name("Limpet CA"), name("node-1"), POINT, b"\x02" * 250))
KEY = der(b"\x02\x01\x01\x04" + b"k" * 32, POINT)
OTHER_KEY = KEY[:-1] + b"q"


def values(**more: object) -> dict:
    """Return what is in a line, some of it changed; None takes a value away."""
    found: dict = {
        "device_id": "node-1",
        "org": "limpet",
        "site": "home",
        "zone": "desk",
        "device_type": "climate",
        "broker": "broker.example",
        "username": "node-1",
        "password": SECRETS[0],
    }
    for field, data in (("ca_der", CA), ("cert_der", CERT), ("key_der", KEY)):
        found[field] = base64(data)
    found.update(more)
    return {key: value for key, value in found.items() if value is not None}


def line(**more: object) -> bytes:
    """Return a line without its end."""
    return json.dumps(values(**more)).encode()


def sealed(text: bytes) -> bytes:
    """Return a line with its CRC at its end."""
    return text[:-1] + f',"crc32":"{crc32(text[:-1]):08x}"}}'.encode()


class Network:
    """A radio that has to join; `air` is what is going to come of it."""

    def __init__(self) -> None:
        self.cause: str | None = "no-ssid"
        self.joined: list = []
        self.on = False
        self.due: int | None = None
        self.air: str | None = "starting"  # None: lets in

    def join(self, ssid: str, password: "str | None") -> None:
        """Join."""
        assert not self.on
        self.joined.append((ssid, password))
        self.on, self.cause = True, "starting"
        self.due = 0

    def rejoin(self, now: int) -> None:
        """Leave."""
        assert self.on
        self.on, self.cause = False, "rejoining"

    def run(self, now: int) -> None:
        """Go on."""
        assert self.on
        self.cause = self.air
        self.due = now + 50


class Wired(Network):
    """A network that is there by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.cause = None

    def join(self, ssid: str, password: "str | None") -> None:
        """Nothing to join."""

    def rejoin(self, now: int) -> None:
        """Nothing to join again."""


class Rig:
    """A node without a config, and what it said and kept. Nothing it shows may hold a secret."""

    def __init__(self, network: Network | None = None) -> None:
        self.network = network or Network()
        self.lines: list = []
        self.kept: list = []
        self.full = False
        self.loads = lambda *ders: ders == (CA, CERT, KEY)
        self.now = 100_000
        self._sent = bytearray()
        self.node = Provisioning(
            DEVICE, self.network, self._loads, self._keep, self._send, self._log
        )

    def _loads(self, *ders: bytes) -> bool:
        return bool(self.loads(*ders))

    def _keep(self, identity: bytes, own: bytes, files: dict) -> None:
        if self.full:
            raise OSError(28, "full")
        self.kept.append((identity, own, files))

    def _send(self, data: bytes) -> None:
        for secret in SECRETS:
            assert secret.encode() not in data
        self._sent += data

    def _log(self, area: str, words: str) -> None:
        for secret in SECRETS:
            assert secret not in words
        self.lines.append(area + " " + words)

    def say(self, data: bytes) -> list:
        """Say something to the node, without a pause; return the packets it answers with."""
        for byte in data:
            self.node.heard(byte, self.now)
        self.node.look(self.now)
        return self.answers()

    def answers(self) -> list:
        """Return the packets that were sent since the last time: (type, data)."""
        found, reader = [], improv.Reader()
        for byte in self._sent:
            if reader.feed(byte) == improv.WHOLE:
                found.append((reader.type, reader.data))
        self._sent = bytearray()
        return found

    def wait(self, ms: int) -> list:
        """Let time pass; return the packets that were sent."""
        for _ in range(0, ms, 50):
            self.now += 50
            self.node.look(self.now)
        return self.answers()

    def pause(self, ms: int) -> None:
        """Let time pass, with a Ctrl-C at its beginning or without."""
        try:
            self.wait(ms)
        except KeyboardInterrupt:
            self.wait(ms)

    def config(self) -> tuple:
        """Return what was kept, read by the node's own rules, and its files."""
        assert self.node.done
        assert len(self.kept) == 1
        identity, own, files = self.kept[0]
        found = dict(config.identity(settings.unseal(identity)))
        found.update(config.settings(own))
        return settings.values(found), files

    def interrupted(self, data: bytes) -> bool:
        """Say something; whether it ended in a Ctrl-C."""
        try:
            self.say(data)
        except KeyboardInterrupt:
            return True
        return False


NO_ERROR = (improv.ERROR, b"\x00")
SETTINGS = improv.wifi_settings(SSID, SECRETS[1])
