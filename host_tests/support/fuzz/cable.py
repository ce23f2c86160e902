"""Targets that read a serial line."""

from support.fuzz.common import JSON_TOKENS


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
    """provisioning.py and first_config.py: the console of a node without a config."""

    heap, per_byte, kept = 24576, 24, 2048
    size_max = 7000
    dear = 4
    tokens = Improv.tokens + JSON_TOKENS + [b"==", b"MII", b'"ca_der":', b'"key_der":"MDA="']

    def __init__(self) -> None:
        import improv
        from support.parts import first_boot as boot

        self._boot = boot
        # Short, because each of their bits is flipped.
        ders = (b"", boot.name("node-1"), b"\x02\x01\x01")
        names = ("ca_der", "cert_der", "key_der")
        short = {
            name: boot.base64(boot.der(boot.der(der) if name != "key_der" else der))
            for name, der in zip(names, ders)  # noqa: B905 (MicroPython's has no strict)
        }
        line = boot.line(password=None, username=None, **short)
        self.samples = (
            boot.sealed(line) + b"\r\n",
            boot.SETTINGS + line[:-1] + b',"wifi_ssid":"x"}\n',
            b'{"device_id":1}\n' + improv.rpc(2) + improv.rpc(3) + b"\n[]\n",
        )

    def feed(self, data: bytes) -> None:
        """Hear all of it: refused in words, or a config by the node's own rules."""
        rig = self._boot.Rig(self._boot.Wired())
        rig.loads = lambda *ders: True
        try:
            rig.say(data)
        except KeyboardInterrupt:
            if 3 not in data:
                raise AssertionError("no Ctrl-C") from None
        if rig.node.done and not rig.config()[0].ca.startswith("ca-"):
            raise AssertionError("kept what it should not")
