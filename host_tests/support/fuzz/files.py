"""Targets that read what is on flash."""

import io
import json
import os
import struct
import sys
from binascii import crc32

from node.config import written
from support.fuzz.common import CPYTHON, JSON_TOKENS, NOW_S
from support.parts.rig import changed


class Config:
    """node/config: an identity and settings that a person has written, or a flash has spoiled."""

    heap, per_byte, kept = 12288, 8, 2048
    size_max = 4200
    samples = (
        b'{"v":1,"device_id":"node-1","org":"limpet","site":"home","zone":"desk",'
        b'"device_type":"climate","broker":"127.0.0.1","port":8883,"server_hostname":null,'
        b'"username":"node-1","password":"p\\u00e4ss"}',
        b'{\n"v": 1, "device_id": "a", "org": "b", "site": "c", "zone": "d", "device_type": "e", '
        b'"broker": "broker.example", "wifi_ssid": "beach", "wifi_password": "shells-and-sand"}',
        b'{"v":1,"device_id":"a","org":"b","site":"c","zone":"d","device_type":"e",'
        b'"broker":"h","crc32":"79a02040"}',
        b'{"v":1,"version":7,"interval_s":10,"window":8,"clean_session":false,"ntp_servers":["h"]}',
    )
    tokens = (
        JSON_TOKENS
        + b'"ca":null "port":1883 localhost ::1 test.mosquitto.org - . "key": "ca":'.split()
        + b'device_id keepalive_s handshake_s command_qos "v":1 "version": crc32 \n 8 -1'.split()
    )

    def __init__(self) -> None:
        from node.config import config, settings
        from node.shared.errors import ConfigError

        self._config = config
        self._settings = settings
        self._error = ConfigError

    def feed(self, data: bytes) -> None:
        """Parse as either; what is accepted can be written and parsed again."""
        text = self._settings.unseal(data)
        for read in (self._config.identity, self._config.settings):
            try:
                parsed = read(b"" if text is None else text)
            except self._error as error:
                if len(str(error.field)) > 64 or len(error.text) > 128:
                    raise AssertionError("words") from error
                continue
            if read == self._config.settings:
                again = changed(data, parsed["interval_s"]).decode()
                parsed["version"] = parsed["version"] % self._config.VERSION_MAX + 1
            else:
                again = written.sealed(json.loads(text))[:-20].decode() + "}"
            if CPYTHON:  # whose json.dumps escapes what is not ASCII
                again = json.dumps(json.loads(again), ensure_ascii=False)
            if len(again) <= self._config.SIZE_MAX and read(again) != parsed:
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
        if self._boots.next_boot(NOW_S, "boot.bin") < 42:
            raise AssertionError("used before")
        self._good = data
        if self._boots.next_boot(None, "boot.bin") < 1:
            raise AssertionError("not a number")


class Memory:
    """response_cache.py: the file of the last Commands, with and without a right CRC."""

    heap, per_byte, kept = 4096, 64, 2048
    size_max = 5000
    samples = (
        b'\x05\x00\x00req-1\x05\x00\x0freq-2{"executed":1}',
        b"\x01\x00\x02a{}" * 8,
        b"",
    )
    tokens = (b"\x00", b"\xff", b"\x40\x02\x00", b"\xc3\xa4", b"\x01\x00\x00a", b"x" * 64)

    def __init__(self) -> None:
        from node.commands.response_cache import ResponseCache as Kept

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
