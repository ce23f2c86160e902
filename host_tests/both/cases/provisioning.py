"""Cases of provisioning.py and first_config.py, at the console of support/parts/first_boot.py."""

import improv
import support.micropython.names  # noqa: F401 - before what is written for MicroPython
from node.config import config, first_config, settings
from node.shared.errors import ConfigError
from support.fuzz.chance import Random
from support.parts.first_boot import (
    CA,
    CERT,
    DEVICE,
    KEY,
    NO_ERROR,
    OTHER_KEY,
    SECRETS,
    SETTINGS,
    SSID,
    Rig,
    Wired,
    base64,
    line,
    sealed,
    values,
)


def refusal(text: bytes) -> str:
    """Return the field of which a line is refused, or "": it is taken."""
    rig = Rig(Wired())
    rig.say(text + b"\n")
    assert rig.node.done == bool(rig.kept)
    if rig.node.done:
        return ""
    words = rig.lines[0]
    assert words.startswith("config refused field="), words
    assert " rule=" in words, words
    return str(words.split("=")[1].split(" ")[0])


def case_says_what_is_missing() -> None:
    """Every five seconds, and in other words as there is less missing; not amid a line."""
    rig = Rig()
    rig.wait(14_000)
    words = "config missing, waits for Wi-Fi by Improv"
    assert rig.lines == [words + ", and for the rest as one line of JSON"] * 3
    rig.say(line()[:100])
    rig.wait(6000)
    assert len(rig.lines) == 3
    rig.say(line()[100:] + b"\r\n")
    rig.wait(100)
    assert rig.lines[3:] == [words]
    rig = Rig(Wired())
    rig.wait(100)
    assert rig.lines == ["config missing, waits for one line of JSON"]


def case_wifi_first() -> None:
    """Improv, then the line: what is kept holds both, and three files named by content."""
    rig = Rig()
    network = rig.network
    assert rig.say(improv.rpc(improv.CURRENT_STATE)) == [NO_ERROR, (1, b"\x02")]
    assert rig.say(SETTINGS) == [NO_ERROR, (1, b"\x03")]
    assert rig.wait(3000) == []
    assert rig.say(improv.rpc(improv.CURRENT_STATE)) == [NO_ERROR, (1, b"\x03")]
    network.air = None
    assert rig.wait(100) == [(1, b"\x04"), (4, b"\x01\x00")]
    assert network.joined == [(SSID, SECRETS[1])]
    assert not network.on
    assert rig.say(improv.rpc(improv.CURRENT_STATE)) == [NO_ERROR, (1, b"\x04"), (4, b"\x02\x00")]
    assert not rig.node.done
    rig.say(line() + b"\r\n")
    cfg, files = rig.config()
    assert (cfg.wifi_ssid, cfg.wifi_password) == (SSID, SECRETS[1])
    assert (cfg.device_id, cfg.broker, cfg.port) == ("node-1", "broker.example", 8883)
    assert [files[cfg.ca], files[cfg.cert], files[cfg.key]] == [CA, CERT, KEY]
    assert len(files) == 3
    for field in ("ca", "cert", "key"):
        value = getattr(cfg, field)
        assert value.startswith(field + "-")
        assert value.endswith(".der")
        assert len(value) == len(field) + 13


def case_line_first() -> None:
    """The line, then Improv; an open network has no password."""
    rig = Rig()
    rig.say(line() + b"\n")
    assert not rig.node.done
    rig.network.air = None
    rig.say(improv.wifi_settings(SSID))
    assert rig.network.joined == [(SSID, None)]
    cfg, _ = rig.config()
    assert (cfg.wifi_ssid, cfg.wifi_password) == (SSID, None)


def case_line_alone() -> None:
    """A line that names the network is all; so is any line where none has to be joined."""
    rig = Rig()
    rig.say(sealed(line(wifi_ssid="x", wifi_password=SECRETS[1])) + b"\n")
    cfg, _ = rig.config()
    assert (cfg.wifi_ssid, cfg.wifi_password) == ("x", SECRETS[1])
    assert rig.network.joined == []
    rig = Rig(Wired())
    rig.say(line() + b"\n")
    assert rig.config()[0].wifi_ssid is None


def case_line_while_joining() -> None:
    """A line that comes while a network is tried waits for what becomes of that."""
    for air, ssid in ((None, "x"), ("no-ap", "x")):
        rig = Rig()
        rig.say(SETTINGS)
        rig.say(line(wifi_ssid="x") + b"\n")
        rig.wait(1000)
        assert not rig.node.done
        rig.network.air = air
        assert rig.wait(50)
        assert rig.config()[0].wifi_ssid == ssid


def case_wifi_that_does_not_join() -> None:
    """The client hears error 3, the log the cause; the next try is as good as the first."""
    rig = Rig()
    for cause in ("wrong-password", "no-ap", "driver"):
        rig.network.air = "starting"
        assert rig.say(SETTINGS) == [NO_ERROR, (1, b"\x03")]
        rig.network.air = cause
        assert rig.wait(50) == [(2, b"\x03"), (1, b"\x02")]
        assert rig.lines[-1] == "wifi not joined cause=" + cause
        assert not rig.network.on
    # A new network while another is tried takes its place.
    rig.network.air = "starting"
    rig.say(SETTINGS)
    rig.say(improv.wifi_settings("other"))
    rig.network.air = None
    assert rig.wait(50) == [(1, b"\x04"), (4, b"\x01\x00")]
    rig.say(line() + b"\n")
    assert rig.config()[0].wifi_ssid == "other"


def case_other_packets() -> None:
    """Who it is; what is no command; what is none of the client's packets, or no packet at all."""
    rig = Rig()
    answer = rig.say(improv.rpc(improv.DEVICE_INFO))
    assert answer[0] == NO_ERROR
    assert improv.texts(improv.command(answer[1][1])[1]) == list(DEVICE)
    for number in (0, improv.SCAN, 5, 6, 7, 255):
        assert rig.say(improv.rpc(number)) == [NO_ERROR, (2, b"\x02")]
    assert rig.say(improv.state(4) + improv.error(3) + improv.result(1)) == []
    invalid = (2, b"\x01")
    assert rig.say(improv.packet(improv.RPC, b"")) == [invalid]
    assert rig.say(improv.packet(improv.RPC, b"\x02\x01")) == [invalid]
    assert rig.say(SETTINGS[:-2] + b"\x00\n") == [invalid]
    for bad in (
        improv.rpc(1),
        improv.rpc(1, b"\x00\x00"),
        improv.rpc(1, b"\x01x"),
        improv.rpc(1, b"\x01x\x00\x00"),
        improv.rpc(1, b"\x05x\x00"),
        improv.rpc(1, b"\x01\xff\x00"),
        improv.wifi_settings("x" * 33),
        improv.wifi_settings("x", "short"),
        improv.wifi_settings("x\n", SECRETS[1]),
    ):
        assert rig.say(bad) == [NO_ERROR, invalid]
    assert rig.network.joined == []
    assert rig.lines == ["config missing, waits for " + rig.lines[0].partition("for ")[2]]


def case_refused() -> None:
    """Each bad line is refused by field and rule, and the next good one is taken."""
    text = line()
    for bad, field in (
        (b"x", "line"),
        (b"[]", "line"),
        (text[:-1], "line"),
        (text[:200], "line"),
        (text[:-1] + b',"port":1,"port":2}', "line"),
        (text + b" " * 6144, "line"),
        (b"\xff" * 20000, "line"),
        (line(org=None), "org"),
        (line(broker="mqtts://x"), "broker"),
        (line(broker="test.mosquitto.org"), "broker"),
        (line(port=1883), "port"),
        (line(wifi_password=SECRETS[1]), "wifi_password"),
        (line(password=None, username="node-2"), "username"),
        (line(nonsense=1), "nonsense"),
        (line(ca="ca.der"), "ca"),
        (line(key="/key.der"), "key"),
        (line(ca_der=None), "ca_der"),
        (line(cert_der=None, key_der=None), "cert_der"),
        (line(key_der=""), "key_der"),
        (line(key_der=5), "key_der"),
        (line(key_der=values()["key_der"][:-2]), "key_der"),
        (line(key_der=values()["key_der"][:-4]), "key_der"),
        (line(key_der="!" + values()["key_der"]), "key_der"),
        (line(key_der=values()["key_der"] + "=="), "key_der"),
        (line(key_der=values()["ca_der"]), "key_der"),
        (line(key_der=base64(KEY + b"x")), "key_der"),
        (line(key_der=base64(OTHER_KEY)), "key_der"),
        (line(cert_der=values()["key_der"]), "cert_der"),
        (line(ca_der=base64(b"-----BEGIN")), "ca_der"),
        (line(device_id="node-2", username=None, password=None), "cert_der"),
        (line(device_id="node", username=None, password=None), "cert_der"),
        (sealed(text).replace(b"broker.", b"brok3r."), "crc32"),
        (sealed(text)[:-1] + b" }", "crc32"),
        (line(crc32="00000000"), "crc32"),
    ):
        rig = Rig(Wired())
        rig.loads = lambda *ders: True
        rig.say(bad + b"\n")
        assert not rig.node.done
        assert rig.lines[0].startswith("config refused field=" + field + " rule="), (
            rig.lines,
            bad[:60],
        )
        rig.say(sealed(text) + b"\n")
        assert rig.config()[0].device_id == "node-1"


def case_damaged_credentials() -> None:
    """What TLS does not take is refused, too."""
    rig = Rig(Wired())
    rig.loads = lambda *ders: False
    rig.say(line() + b"\n")
    assert rig.lines[0].startswith("config refused field=key_der")
    assert not rig.kept


def case_no_memory() -> None:
    """A line for which memory is too short is refused like any other; the node goes on."""
    rig = Rig(Wired())

    def fails(*ders: bytes) -> bool:
        raise MemoryError

    rig.loads, loads = fails, rig.loads
    rig.say(line() + b"\n")
    assert rig.lines[0].startswith("config refused field=line rule=is too long for what memory")
    rig.loads = loads
    rig.say(line() + b"\n")
    assert rig.node.done


def case_every_byte_counts() -> None:
    """A sealed line that lost a byte, or has another one, is refused; so is each part of it."""
    text = sealed(line())
    for at in range(0, len(text), 7):
        assert refusal(text[:at] + text[at + 1 :]), at
        assert refusal(text[:at] + bytes((text[at] ^ 1,)) + text[at + 1 :]), at
        if text[:at].strip():
            assert refusal(text[:at]), at
    assert refusal(text) == ""


def case_flash_full() -> None:
    """A config that flash does not take is said not to be kept; the door stays open."""
    rig = Rig(Wired())
    rig.full = True
    rig.say(line() + b"\n")
    assert not rig.node.done
    assert rig.lines[0] == "config not kept, flash failed errno=28"
    rig.full = False
    rig.say(line() + b"\n")
    assert rig.node.done


def case_lines_that_never_end() -> None:
    """A line without an end is given up after ten seconds of silence, and the next one is taken."""
    rig = Rig(Wired())
    rig.wait(50)
    rig.say(line()[:300])
    rig.wait(9000)
    rig.say(line()[300:400])
    rig.wait(11_000)
    assert rig.lines[1] == "config line given up, it has no end"
    rig.say(line() + b"\r")
    assert rig.node.done


def case_ctrl_c() -> None:
    """It interrupts wherever no packet is under way, and never inside one."""
    ctrl_c = b"\x03"
    for before in (b"", b"\r", b"{", line(), b"IMPROV", b"IMPROV\x02", SETTINGS, b"x" * 9000):
        assert Rig().interrupted(before + ctrl_c), before
    # Three packets are full of it: types, lengths, a name.
    ssid = "\x03\x03"
    for whole in (improv.rpc(3), improv.packet(3, b"\x03" * 200), improv.wifi_settings(ssid)):
        assert not Rig().interrupted(whole)
        for end in range(7, len(whole) - 1):
            assert not Rig().interrupted(whole[:end] + ctrl_c)
            # After a pause it is one, whatever has begun as a packet.
            rig = Rig()
            rig.say(whole[:end])
            rig.now += 501
            assert rig.interrupted(b"\r\x03"), end


def case_ctrl_c_amid_a_packet() -> None:
    """What mpremote sends into an unfinished packet interrupts as soon as that is given up."""
    rig = Rig()
    rig.say(SETTINGS[:20] + b"\r\x03\r\x01")
    rig.wait(400)
    try:
        rig.wait(200)
    except KeyboardInterrupt:
        return
    raise AssertionError("not interrupted")


def case_broken_packet_interrupts_nothing() -> None:
    """A packet that lost a byte on the line is an error, and what is left of it no Ctrl-C."""
    whole = improv.rpc(1, b"\x03abc\x0cdefghijklm\x03\x03")
    for at in range(7, len(whole) - 1):
        rig = Rig()
        assert not rig.interrupted(whole[:at] + whole[at + 1 :] + b"\n"), at
        rig.now += 600
        assert rig.say(improv.rpc(2)) == [NO_ERROR, (1, b"\x02")], at


def case_packets_amid_a_line() -> None:
    """Packets between the parts of a line do not harm it, nor a name like theirs in it."""
    text = line(wifi_ssid="IMPROV IMPROVED")
    rig = Rig()
    for at in range(0, len(text), 50):
        answer = rig.say(text[at : at + 50] + improv.rpc(improv.CURRENT_STATE)[:-1])
        assert answer == [NO_ERROR, (1, b"\x02")]
    rig.say(b"\n")
    assert rig.config()[0].wifi_ssid == "IMPROV IMPROVED"


def case_noise() -> None:
    """Whatever comes, in whatever pieces: no bug, nothing kept; then a good line is taken."""
    random = Random(7)
    parts = (
        SETTINGS,
        line(),
        sealed(line()),
        improv.rpc(2),
        b"\n",
        b"IMPROV\x01",
        b"{",
        b"\xff\x00",
    )
    for _ in range(60):
        rig = Rig(Wired())
        for _ in range(8):
            data = bytearray(parts[random.below(len(parts))])
            for _ in range(random.below(4)):
                if data:
                    data[random.below(len(data))] = random.below(256)
            data = data[: random.below(len(data) + 1)]
            try:
                rig.say(bytes(data))
            except KeyboardInterrupt:
                assert 3 in bytes(data)
            if random.below(3) == 0:
                rig.pause(600)
        if rig.node.done:
            continue  # it has had a good one
        rig.pause(11_000)
        rig.say(b"\n" + line() + b"\n")
        assert rig.config()[0].device_id == "node-1"


def case_complete() -> None:
    """The network of the line goes before that of Improv; too much of both is refused."""
    for more, ssid in (({}, "y"), ({"wifi_ssid": "x"}, "x")):
        taken, _ = first_config.read(line(**more), lambda *_: True)
        identity, _ = first_config.complete(taken, ("y", SECRETS[1]))
        assert config.identity(settings.unseal(identity))["wifi_ssid"] == ssid
    taken["ntp_servers"] = ["n" * 5000]
    field = ""
    try:
        first_config.complete(taken, None)
    except ConfigError as error:
        field = error.field
    assert field == "settings"
