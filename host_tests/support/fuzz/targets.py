"""Every parser that reads from the network or from flash, ready to be fed. Runs under both Pythons.

A target has `samples` (good inputs), `tokens` (what mutations put in), `size_max` (of an input: a
little over what the parser takes), and `feed(data)`, which raises nothing but what is a defect: the
parser's own errors end there, and what it gives back is checked.

`heap` and `per_byte` are the bound: an input of n bytes costs at most heap + n * per_byte bytes of
the 32-bit interpreter's heap, garbage included. `kept` is what may stay behind after all inputs.
`dear`: of the mutations it gets one in so many.
"""

import io
import json
import os
import struct
import sys
from binascii import crc32

import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from support.parts.rig import Flash, changed

CPYTHON = sys.implementation.name == "cpython"
BASE = "limpet/home/desk/climate/node-1"
NOW_S = 1780000000

JSON_TOKENS = (
    b'{ } [ ] , : " "" \\ \\u0000 \\ud800 null true - 0 1e999 0.5 \x00 \xff \xc3 "id":"x" {"a": '
    b'[[[[[[[[[ "id": "v":1, "ts":1780000000 "ttl":0 \xf0\x9f\x8c\xa1 999999999999999999999999'
).split(b" ")
MQTT_TOKENS = (
    b"\x20\x02\x00\x00 \x20\x02\x00\x05 \x30 \x32 \x36 \x40\x02 \x40\x02\x00\x03 \x62\x02 \xd0\x00 "
    b"\x80 \xff \xff\xff\xff\x7f \x00 \x00\x01 \xff\xff \x90\x03 \x90\x03\x00\x01 \x62\x02\x00\x01 "
    b"\x30\x03\x00\x01a \x32\x05\x00\x01a\x00\x01 \x34\x05\x00\x01a\x00\x07 xxxxxxxxxxxxxxxxxxxxx"
).split(b" ")


class Packets:
    """lib/mqtt_packets.py: a stream of MQTT packets, in pieces of several sizes."""

    heap, per_byte, kept = 1024, 80, 2048
    size_max = 1500
    samples = (
        b"\x20\x02\x01\x00\x90\x03\x00\x01\x01\x40\x02\x00\x07\xd0\x00\x62\x02\x00\x08",
        b"\x30\x0b\x00\x05topic0123\x32\x0d\x00\x05topic\x00\x090123\x34\x0d\x00\x05topic\x00\x0a0123",
        b"\x31\x85\x01\x00\x03a/b" + b"x" * 128 + b"\x3d\x07\x00\x02\xc3\xa4\x00\x01!",
        b"\x30\xff\xff\xff\xff\x01\x00\x01a" + bytes(130),
    )
    tokens = MQTT_TOKENS

    def __init__(self) -> None:
        from mqtt_packets import Malformed, Reader

        self._malformed = Malformed
        self._reader = Reader(128)
        self._piece = b""

    def feed(self, data: bytes) -> None:
        """Read all packets of the stream."""
        self._reader.clear()
        # Each read costs memoryviews of this target's own: not where heap is measured.
        pieces = (len(data) or 1, 1, 7)[len(data) % 3] if CPYTHON else 256
        try:
            for at in range(0, len(data), pieces):
                self._take(data[at : at + pieces])
        except self._malformed:
            pass

    def readinto(self, space: memoryview) -> int:
        """What the reader calls for the next bytes."""
        if not len(space):
            raise AssertionError("no space")
        count = min(len(space), len(self._piece))
        space[:count] = self._piece[:count]
        self._piece = self._piece[count:]
        return count

    def _take(self, piece: bytes) -> None:
        reader = self._reader
        self._piece = piece
        while self._piece:
            reader.fill(self)
            first = reader.packet()
            while first is not None:
                self._check(first)
                first = reader.packet()

    def _check(self, first: int) -> None:
        reader = self._reader
        if not 0 <= reader.body <= reader.after <= len(reader.buffer):
            raise AssertionError("packet outside the buffer")
        if first & 0xF0 == 0x30:
            topic, packet_id, payload = reader.publish(first)
            if not topic or not 0 <= packet_id <= 65535 or bool(first & 6) != bool(packet_id):
                raise AssertionError("publish")
            if not 0 <= reader.missing < 1 << 28:
                raise AssertionError("longer than MQTT allows")
            rest = reader.after - reader.body - 2 - len(topic.encode()) - (2 if packet_id else 0)
            if payload is None or len(payload) != rest:
                raise AssertionError("beyond its packet")


class Improv:
    """lib/improv.py: what comes over a serial line, with the packets' own parsers behind it."""

    heap, per_byte, kept = 4096, 16, 1024
    size_max = 1200
    tokens = (
        b"IMPROV\x01 IMPROV IMPROV\x01\x03 \x03 \x01 \x02\x00 \xff \x00 \r\n { I xxxxxxxxxxxxxxxx"
    ).split(b" ")

    def __init__(self) -> None:
        import improv

        self._improv = improv
        self._reader = improv.Reader()
        self.samples = (
            improv.wifi_settings("MyWirelessAP", "mysecurepassword"),
            b"text\r\n" + improv.rpc(2) + improv.rpc(3) + b"more text IMPROV",
            improv.result(3, ("Name", "1.0", "esp32", "caf\u00e9")) + improv.state(4),
            improv.packet(9, bytes(range(120))),
        )

    def feed(self, data: bytes) -> None:
        """Read all of it: each byte is a packet's or text, and each packet adds up."""
        improv, reader = self._improv, self._reader
        reader.clear()
        text = 0
        for byte in data:
            inside = reader.inside
            kind = reader.feed(byte)
            text += (kind == improv.TEXT) - 6 * (kind == improv.START)
            if inside != (kind not in (improv.TEXT, improv.START)) or text < 0:
                raise AssertionError("neither text nor packet")
            if kind == improv.WHOLE:
                try:
                    number, own = improv.command(reader.data)
                    if not (0 <= number <= 255 and len(improv.texts(own)) <= len(own)):
                        raise AssertionError("more texts than bytes")
                except ValueError:
                    pass


class FirstBoot:
    """provisioning.py and intake.py: the console of a node without a config."""

    heap, per_byte, kept = 24576, 24, 2048
    size_max = 7000
    dear = 4
    tokens = Improv.tokens + JSON_TOKENS + [b"==", b"MII", b'"ca_der":', b'"key_der":"MDA="']

    def __init__(self) -> None:
        from both.cases import provisioning as cases

        self._cases = cases
        # Short, because each of their bits is flipped.
        ders = (b"", cases.name("node-1"), b"\x02\x01\x01")
        names = ("ca_der", "cert_der", "key_der")
        short = {
            name: cases.base64(cases.der(cases.der(der) if name != "key_der" else der))
            for name, der in zip(names, ders)  # noqa: B905 (MicroPython's has no strict)
        }
        line = cases.line(password=None, username=None, **short)
        self.samples = (
            cases.sealed(line) + b"\r\n",
            cases.SETTINGS + line[:-1] + b',"wifi_ssid":"x"}\n',
            b'{"device_id":1}\n' + cases.improv.rpc(2) + cases.improv.rpc(3) + b"\n[]\n",
        )

    def feed(self, data: bytes) -> None:
        """Hear all of it: refused in words, or a config by the node's own rules."""
        rig = self._cases.Rig(self._cases.Wired())
        rig.loads = lambda *ders: True
        try:
            rig.say(data)
        except KeyboardInterrupt:
            if 3 not in data:
                raise AssertionError("no Ctrl-C") from None
        if rig.node.done and not rig.config()[0].ca.startswith("ca-"):
            raise AssertionError("kept what it should not")


class Wire:
    """A transport whose peer has said `data` already, in pieces, and then says no more."""

    addresses = ()

    def __init__(self) -> None:
        self.said = 0
        self._data = b""
        self._at = 0

    def load(self, data: bytes) -> None:
        """Let the next connection read `data`."""
        self._data = data
        self._at = self.said = 0

    def resolve(self, host: str, port: int) -> None:
        """There is nobody to ask."""

    def open(self) -> None:
        """There is nothing to open."""

    def opened(self) -> bool:
        """At once."""
        return True

    def proven(self) -> None:
        """Nothing changes."""

    def write(self, packet: bytes) -> "int | None":
        """Take everything, but not always at once."""
        self.said += 1
        return None if self.said % 5 == 0 else len(packet)

    def readinto(self, space: memoryview) -> "int | None":
        """Give the next piece, or nothing."""
        count = min(len(space), len(self._data) - self._at, 1 + self._at % 61)
        space[:count] = self._data[self._at : self._at + count]
        self._at += count
        return count or None

    def close(self) -> None:
        """Forget what was not read."""
        self._data = b""


class Client:
    """lib/umqtt_tls.py whole, with the router and the status behind it as in main.py."""

    heap, per_byte, kept = 16384, 64, 8192
    size_max = 4000
    tokens = MQTT_TOKENS + JSON_TOKENS[:4]

    def __init__(self) -> None:
        from umqtt_tls import MQTTClient

        self._wire = Wire()
        self._client = client = MQTTClient("node-1", "broker", window=4, max_packet=512)
        client._transport = self._wire  # type: ignore[assignment]
        self._command, self._status = Command(), Status()
        client.on_message = self._heard
        client.subscribe(BASE + "/status", 1)
        client.subscribe(BASE + "/commands", 2)
        client.on_down = self._down
        self._cause = None
        greeted = b"\x20\x02\x00\x00\x90\x03\x00\x01\x01\x90\x03\x00\x02\x01"
        self.samples = (
            greeted + b"\x40\x02\x00\x03\x40\x02\x00\x04\xd0\x00",
            greeted + publish("/commands", Command.samples[0], 1) + b"\x62\x02\x00\x09",
            greeted + publish("/status", Status.samples[0], 1) + publish("/x", b"y" * 600, 2),
            b"\x20\x02\x01\x00"
            + publish("/commands", b'{"id":"a"}', 2) * 3
            + b"\x62\x02\x00\x09" * 2,
            greeted + b"".join([b"\x34\x05\x00\x01a\x01" + bytes((n,)) for n in range(34)]),
        )

    def _heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        to = self._status if topic == BASE + "/status" else self._command
        to.heard(topic, payload, retained, dup)

    def _down(self, cause: str) -> None:
        self._cause = cause  # type: ignore[assignment]

    def feed(self, data: bytes) -> None:
        """Connect, hear `data`, wait for what will not come."""
        client = self._client
        self._wire.load(data)
        self._cause = None
        client.start(0)
        now = 0
        steps = 0
        while client.state != "down":
            wait = client.step(now)
            steps += 1
            if not 0 <= wait <= 60000 or steps > 40 + len(data):
                raise AssertionError("sleep")
            if client.state == "up":
                client.send(BASE + "/telemetry", b"{}", 1)
            if len(client._out) > 20 or len(client._in_flight) > 4 or len(client._received) > 32:
                raise AssertionError("unbounded")
            # What is waited for is overdue in the end: all has been read then.
            now += wait
        if self._cause not in BROKER_CAUSES + OWN_CAUSES:
            raise AssertionError(self._cause)


BROKER_CAUSES = ("protocol-version", "client-id", "unavailable", "credentials", "not-authorized")
OWN_CAUSES = ("protocol", "connack-timeout", "puback-timeout", "suback-timeout", "ping-timeout")


def publish(suffix: str, payload: bytes, qos: int) -> bytes:
    """Return a PUBLISH to the node with packet id 9."""
    topic = (BASE + suffix).encode()
    body = struct.pack(">H", len(topic)) + topic + b"\x00\x09" + payload
    size = len(body)
    head = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return bytes((0x30 | qos << 1,)) + head + body


class Command:
    """The router with all its Commands, behind node/commands/parse.py and strictjson.py."""

    heap, per_byte, kept = 12288, 8, 8192
    size_max = 1100
    samples = (
        b'{"v":1,"id":"req-1","action":"set_interval","params":{"seconds":30},"ts":1780000000,'
        b'"ttl":60,"reply_to":"limpet/home/desk/climate/node-1/commands/response/me"}',
        b'{"id":"a\\u0042\xc3\xa4","action":"identify","params":{"seconds":3}}',
        b'{"id":"g","action":"get_status"}',
        b' {"id":"r","action":"read_now","params":{}} ',
        b'{"id":"b","action":"reboot","ts":1}',
        b'[{"id":1},"action"]',
        b'{"id":"p","action":"ping","params":{"x":[[1,-2.5e3],{"y":null}]}}',
    )
    tokens = (
        JSON_TOKENS
        + b"ping reboot set_interval seconds params action reply_to / get_status".split()
    )

    def __init__(self) -> None:
        from node.session.router import Router

        self._bugs: list = []
        self._responses = 0
        flash = Flash()
        self._files, self.read, self.replace = flash.files, flash.read, flash.replace
        self._router = Router(BASE, self, self, self, lambda: NOW_S, self._log, self._bugs.append)
        # Imports what answers, once for all.
        self._router.on_message(BASE + "/commands", b"", False, False)

    # What handlers ask for.

    def status(self) -> dict:
        """Return a snapshot."""
        return {"up": 5, "reads": 3}

    def set_interval(self, seconds: int) -> None:
        """Take nothing but what the rules allow."""
        if type(seconds) is not int or not 2 <= seconds <= 86400:
            raise AssertionError("interval")

    def identify(self, seconds: int) -> None:
        """Take nothing but whole seconds."""
        if type(seconds) is not int or not 0 < seconds < 3600:
            raise AssertionError("seconds")

    def reboot(self) -> None:
        """Do nothing."""

    def read_now(self, callback) -> None:  # type: ignore[no-untyped-def]
        """Never answer."""

    def room(self, count: int, size: int) -> bool:
        """There always is."""
        return True

    def put(self, topic: str, payload: bytes) -> None:
        """Take a Response, which must be to us and JSON."""
        self._responses += 1
        home = BASE + "/commands/response"
        if not (topic == home or topic.startswith(home + "/")) or len(payload) > 1024:
            raise AssertionError("response")
        if payload[:12] != b'{"v":1,"id":' or payload[-1:] != b"}":
            raise AssertionError("response")

    def _log(self, area: str, words: str) -> None:
        pass

    def heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        """Give one message to the router: at most one Response, no bug, little on flash."""
        before = self._responses
        self._router.on_message(topic, payload, retained, dup)
        if self._bugs:
            raise self._bugs[0]
        if self._responses - before > 1 or len(self._files.get("commands.bin", b"")) > 5000:
            raise AssertionError("too much")
        if len(self._router.dropped) > 16:
            raise AssertionError("reasons")

    def feed(self, data: bytes) -> None:
        """Hear one Command, and let what is answered later run out of time."""
        if len(data) & 1:  # else most inputs are repeats
            answers = self._router._answers
            for entries in (answers._memory._entries, answers._refused, answers._harmless):  # type: ignore[union-attr]
                entries.clear()
            answers._memory._seen = bytearray()  # type: ignore[union-attr]
        self.heard(BASE + "/commands", data, False, False)
        self._router.step(0)
        self._router.step(10000)
        if self._bugs:
            raise self._bugs[0]


class Status:
    """status.py, which reads what anybody may have written on the node's own topic."""

    heap, per_byte, kept = 1024, 4, 2048
    size_max = 1500
    samples = (
        b'{"v":1,"status":"online","boot":7,"session":0,"fw":"0.1.0","reset":"hard",'
        b'"outage":{"s":73,"cause":"tls-timeout"}}',
        b'{"v":1,"status":"offline","boot":7,"session":3,"reason":"lost"}',
        b'{"v":1,"status":"online","boot":7,"session"' + b":" * 150 + b",",
        b"",
    )
    tokens = JSON_TOKENS + b'"boot":7 "session":0 online offline'.split()

    def __init__(self) -> None:
        from node.reporting.status import Status as Source

        self._source = Source(BASE, 7, "0.1.0", "hard", lambda: 0)
        self._source.up(0, None)
        found = self._source.peek(0)
        self._source.sent(found[0])

    def heard(self, topic: str, payload: bytes, retained: bool, dup: bool) -> None:
        """Give one message to the source."""
        self._source.on_message(topic, payload, retained, dup)

    def feed(self, data: bytes) -> None:
        """Hear one status; whatever it says, the birth comes at most every 10 s."""
        self.heard(BASE + "/status", data, True, False)
        if self._source.peek(9999) is not None:
            raise AssertionError("birth too early")


class Config:
    """node/config/config.py: a file that a person has written."""

    heap, per_byte, kept = 12288, 8, 2048
    size_max = 4200
    samples = (
        b'{"device_id":"node-1","org":"limpet","site":"home","zone":"desk","device_type":"climate",'
        b'"broker":"127.0.0.1","port":8883,"server_hostname":null,"interval_s":10,"window":8,'
        b'"clean_session":false,"username":"node-1","password":"p\\u00e4ss"}',
        b'{\n"device_id": "a", "org": "b", "site": "c", "zone": "d", "device_type": "e", '
        b'"broker": "broker.example", "wifi_ssid": "beach", "wifi_password": "shells-and-sand"}',
    )
    tokens = (
        JSON_TOKENS
        + b'"ca":null "port":1883 localhost ::1 test.mosquitto.org - . "key": "ca":'.split()
        + b"device_id keepalive_s handshake_s command_qos \n 8 -1".split()
    )

    def __init__(self) -> None:
        from node.config import config, settings
        from node.shared.errors import ConfigError

        self._config = config
        self._settings = settings
        self._error = ConfigError

    def feed(self, data: bytes) -> None:
        """Parse; what is accepted can be written and parsed again."""
        try:
            parsed = self._config.parse(data)
        except self._error as error:
            if len(str(error.field)) > 64 or len(error.text) > 128:
                raise AssertionError("words") from error
            return
        self._settings.client(parsed)
        again = changed(data, parsed.interval_s).decode()
        if CPYTHON:  # whose json.dumps escapes what is not ASCII
            again = json.dumps(json.loads(again), ensure_ascii=False)
        if len(again) <= self._config.SIZE_MAX and self._config.parse(again) != parsed:
            raise AssertionError("not the same again")


class Boots:
    """device/boots.py: two copies of a number and its complement."""

    heap, per_byte, kept = 1024, 0, 2048
    size_max = 20
    samples = (struct.pack("<II", 7, 7 ^ 0xFFFFFFFF), struct.pack("<II", 0x12345678, 0xEDCBA987))
    tokens = (b"\x00", b"\xff", b"\x07")

    def __init__(self) -> None:
        if CPYTHON:  # which has no ticks for the laptop's clock
            power = type(sys)("device.power")
            power.reset = power.reset_cause = power.watchdog = None  # type: ignore[attr-defined]
            sys.modules["device.power"] = power
        from device import boots

        self._boots = boots
        self._good = b""
        self._bad = b""
        boots.read = lambda path, how=None: self._good if path.endswith(".2") else self._bad
        boots.replace = lambda path, *pieces: None

    def feed(self, data: bytes) -> None:
        """Count a boot with one good copy, and with none: never a number used before."""
        self._bad = data
        self._good = struct.pack("<II", 41, 41 ^ 0xFFFFFFFF)
        if self._boots.next_boot("boot.bin", NOW_S) < 42:
            raise AssertionError("used before")
        self._good = data
        if self._boots.next_boot("boot.bin", None) < 1:
            raise AssertionError("not a number")


class Memory:
    """node/commands/memory.py: the file of the last Commands, with and without a right CRC."""

    heap, per_byte, kept = 4096, 64, 2048
    size_max = 5000
    samples = (
        b'\x05\x00\x00req-1\x05\x00\x0freq-2{"executed":1}',
        b"\x01\x00\x02a{}" * 8,
        b"",
    )
    tokens = (b"\x00", b"\xff", b"\x40\x02\x00", b"\xc3\xa4", b"\x01\x00\x00a", b"x" * 64)

    def __init__(self) -> None:
        from node.commands.memory import Memory as Kept

        self._kept = Kept
        self._said = b""
        self._sizes: dict = {}

    def _read(self, path, how=None):  # type: ignore[no-untyped-def]
        return how(io.BytesIO(self._said)) if how else self._said

    def _replace(self, path: str, *pieces: bytes) -> None:
        size = 0
        for each in pieces:
            size += len(each)
        self._sizes[path] = size

    def feed(self, data: bytes) -> None:
        """Load it as it is, and with a CRC that makes it credible; then use what was loaded."""
        for self._said in (data, crc32(data).to_bytes(4, "big") + data[:400]):
            self._sizes.clear()
            memory = self._kept("commands", self._read, self._replace)
            memory.begin("new")
            memory.finish("new", b"{}")
            size = self._sizes["commands.bin"] + self._sizes["commands.ids"]
            if memory.response("new") != b"{}" or size > 5520:
                raise AssertionError("memory")


class Frames:
    """lib/dht22.py: five bytes of a sensor, or fewer before it falls silent."""

    heap, per_byte, kept = 1024, 0, 2048
    size_max = 5
    samples = (
        b"\x02\x8c\x01\x5f\xee",
        b"\x02\x8c\x80\x65\x73",
        b"\x00\x00\xff\x38\x37",
        b"\x00" * 5,
    )
    tokens = (b"\x80", b"\xff", b"\x00", b"\x7f")

    def __init__(self) -> None:
        from dht22 import DHT22, DHTError

        self._error = DHTError
        self._data = b""
        self._sensor = DHT22(None, self._readinto)

    def _readinto(self, pin: object, buffer: bytearray) -> None:
        buffer[: len(self._data)] = self._data
        if len(self._data) < 5:
            raise OSError(116)

    def feed(self, data: bytes) -> None:
        """Read once; a frame with a checksum of its own is read too."""
        for self._data in (data, data[:4] + bytes((sum(data[:4]) & 255,))):
            try:
                temperature, humidity = self._sensor.read()
            except self._error as error:
                if error.reason not in ("no-response", "checksum", "all-zero", "out-of-range"):
                    raise AssertionError("reason") from error
                continue
            if not (-400 <= temperature <= 800 and 0 <= humidity <= 1000):
                raise AssertionError("range")


class Json:
    """node/shared/strictjson.py alone, against CPython's json told to be as strict."""

    heap, per_byte, kept = 1024, 4, 2048
    size_max = 1100
    samples = Command.samples + Status.samples[:2]
    tokens = JSON_TOKENS

    def __init__(self) -> None:
        from node.shared.strictjson import Shape

        self._shape = Shape

    def feed(self, data: bytes) -> None:
        """Walk and load; whatever is let through is JSON, each key once."""
        shape = self._shape(data, len(data), 64, b"id")
        try:
            value = shape.load()
        except ValueError as error:
            if error.args[0] not in ("not-json", "too-complex", "duplicate-key"):
                raise AssertionError(error.args) from error
            return
        if CPYTHON and value != json.loads(
            data, object_pairs_hook=_each_key_once, parse_constant=_no_json
        ):
            raise AssertionError("another value")


def _each_key_once(pairs: list) -> dict:
    if len({name for name, _ in pairs}) != len(pairs):
        raise AssertionError("a key twice")
    return dict(pairs)


def _no_json(name: str) -> None:
    raise AssertionError(name)


class Time:
    """lib/sntp.py: what comes to a port that anybody can send to."""

    heap, per_byte, kept = 1024, 0, 2048
    size_max = 80
    tokens = (b"\x00", b"\xff", b"\x24", b"\x00\x00\x00\x00", b"noncenon")

    def __init__(self) -> None:
        import sntp

        self._sntp = sntp
        self.samples = (b"\x24\x02" + bytes(22) + b"noncenon" + bytes(8) + b"\xea\x00" + bytes(6),)

    def feed(self, data: bytes) -> None:
        """Read one packet: no answer, refused, or a time that can be."""
        try:
            unix_ms = self._sntp.read(data, b"noncenon", NOW_S - 1000)
        except self._sntp.Refused as error:
            if error.reason not in ("kiss", "unsynchronised", "absurd"):
                raise AssertionError(error.reason) from error
            return
        if unix_ms is not None and not NOW_S - 1000 <= unix_ms // 1000 < self._sntp.LATEST:
            raise AssertionError(unix_ms)


class Records:
    """lib/recordlog.py: its three files, in the working folder."""

    heap, per_byte, kept = 20480, 8, 2048
    size_max = 1000
    dear = 4
    tokens = (b"\x00", b"\xff", b"\x00" * 12, b"\xff" * 12)

    def __init__(self) -> None:
        from recordlog import RecordLog

        self._log = RecordLog
        log = RecordLog("log", 8, 64, 8)
        self._good = [b"record%02d" % each for each in range(14)]  # by position
        for each in self._good[:13]:
            log.append(each)
        log.forget_until(3)
        log.sync()
        self._names = sorted(os.listdir("log"))
        files = []
        for name in self._names:
            with open("log/" + name, "rb") as file:
                files.append(file.read())
        self._sizes = [len(each) for each in files]
        self.samples = (b"".join(files),)

    def feed(self, data: bytes) -> None:
        """Open, read all, append, open again: what is read was written, and nothing hangs."""
        for name in os.listdir("log"):
            os.remove("log/" + name)
        at = 0
        for index, name in enumerate(self._names):
            # What is too long belongs to the last file.
            end = len(data) if name == self._names[-1] else at + self._sizes[index]
            with open("log/" + name, "wb") as file:
                file.write(data[at:end])
            at = min(end, len(data))
        log = self._log("log", 8, 64, 8)
        self._read(log)
        log.append(self._good[13])
        if self._read(self._log("log", 8, 64, 8)) != self._good[13]:
            raise AssertionError("not appended")

    def _read(self, log) -> bytes:  # type: ignore[no-untyped-def]
        buffer = bytearray(8 * 5)
        position, last = log.first, b""
        for _ in range(200):
            start, number = log.read(position, buffer, 5)
            if not number:
                if start != log.next:
                    raise AssertionError("end")
                return last
            position = start + number
            for each in range(number):
                last = bytes(buffer[8 * each : 8 * each + 8])
                self._check_record(last, start + each)
        raise AssertionError("hangs")

    def _check_record(self, record: bytes, position: int) -> None:
        if record in self._good:
            return
        # CRCs are linear: a record that stands at another's position passes, if its first 4 bytes
        # differ by just as much. That takes two faults that fit each other.
        first = int.from_bytes(record[:4], "little") ^ position
        for number, good in enumerate(self._good):
            stood = first ^ int.from_bytes(good[:4], "little")
            if record[4:] == good[4:] and stood == number:
                return
        raise AssertionError(record)


TARGETS: dict = {
    "packets": Packets,
    "improv": Improv,
    "first-boot": FirstBoot,
    "client": Client,
    "command": Command,
    "status": Status,
    "config": Config,
    "json": Json,
    "boots": Boots,
    "memory": Memory,
    "frames": Frames,
    "time": Time,
    "records": Records,
}
