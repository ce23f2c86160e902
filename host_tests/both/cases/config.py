"""Cases of node/config/config.py: what is refused, by which field and which rule."""

import json

from node.config import config
from node.shared.errors import ConfigError
from support.parts.rig import changed

NEEDED = {
    "device_id": "node-1",
    "org": "limpet",
    "site": "home",
    "zone": "desk",
    "device_type": "climate",
    "broker": "broker.example",
}


# Something that no refusal may show, long enough for every rule.
HIDDEN = "hunter2-hunter2"


def _text(**more: object) -> str:
    values: dict[str, object] = dict(NEEDED)
    values.update(more)
    return json.dumps(values)


def _refused(source: str | bytes, read=config.parse) -> tuple[str, str]:  # type: ignore[no-untyped-def]
    try:
        read(source)
    except ConfigError as error:
        return error.field, error.text
    return "", ""


def case_defaults() -> None:
    """Six keys are enough; what they leave out is as documented."""
    cfg = config.parse(_text())
    assert cfg.device_id == "node-1"
    assert (cfg.port, cfg.ca, cfg.cert, cfg.key) == (8883, "ca.der", "cert.der", "key.der")
    assert cfg.server_hostname is None
    assert cfg.username is None
    assert cfg.password is None
    assert (cfg.interval_s, cfg.keepalive_s, cfg.handshake_s, cfg.health_s) == (10, 60, 60, 300)
    assert (cfg.window, cfg.telemetry_qos, cfg.command_qos, cfg.outbox_readings) == (8, 1, 1, 20000)
    assert (cfg.ntp_servers, cfg.no_time_after_s) == (None, 600)
    assert cfg.clean_session is False
    assert cfg.allow_public_broker is False
    assert cfg.refuse_retained_commands is True
    assert config.parse(_text().encode()) == cfg


def case_required() -> None:
    """Each of the six is required."""
    for name in NEEDED:
        values = dict(NEEDED)
        del values[name]
        assert _refused(json.dumps(values)) == (name, "is required")


def case_unknown_key() -> None:
    """A key that is not known is refused by its name, which is made harmless."""
    assert _refused(_text(intervall_s=5)) == ("intervall_s", "unknown key")
    assert _refused(_text(Broker="x")) == ("Broker", "unknown key")
    assert _refused(_text(**{"a\n\u00e9" + "b" * 99: 1})) == ("a??" + "b" * 29, "unknown key")


def case_not_json() -> None:
    """What is no JSON object, or has a key twice, is refused, though MicroPython would take it."""
    whole = _text()
    for text in ("", "[]", "null", whole[:-1], whole + "}", whole[:-1] + ",}", whole[:-1] + "]"):
        field, rule = _refused(text)
        assert field == "config", text
        assert "JSON" in rule
    field, rule = _refused(whole[:-1] + ',"port":8883,"port":1883}')
    assert (field, rule[-13:]) == ("config", "duplicate-key")
    assert _refused(whole + " " * 4096)[0] == "config"
    assert _refused(b'{"org":"\xff"}')[0] == "config"


def case_types() -> None:
    """A wrong type is refused with the field's name; true is no number, 8883.0 no whole one."""
    texts = ("device_id", "org", "broker", "server_hostname", "ca", "cert", "username", "password")
    numbers = ("port", "interval_s", "window", "telemetry_qos", "health_s", "no_time_after_s")
    flags = ("clean_session", "allow_public_broker", "refuse_retained_commands")
    for names, rule, wrong in (
        (texts, "must be a string", ("1", "true", "[]", "{}", "1.5")),
        (numbers, "must be a whole number", ("true", "8.0", '"8"', "null", "[8]", "1e999")),
        (flags, "must be true or false", ("1", "0", '"true"', "null")),
    ):
        for name in names:
            for value in wrong:
                # A required one would be there twice.
                text = _text().replace(f'"{name}"', '"ca"')[:-1] + f',"{name}":{value}}}'
                assert _refused(text) == (name, rule), text
    for name in NEEDED:
        assert _refused(_text(**{name: None})) == (name, "must be a string")


def case_ranges() -> None:
    """Both ends of each range are taken, one beyond is refused with the range in the rule."""
    for name, low, high in (
        ("port", 1, 65535),
        ("interval_s", 2, 86400),
        ("keepalive_s", 10, 3600),
        ("handshake_s", 5, 300),
        ("window", 1, 32),
        ("telemetry_qos", 0, 1),
        ("command_qos", 1, 2),
        ("outbox_readings", 256, 60000),
        ("health_s", 10, 86400),
        ("no_time_after_s", 30, 86400),
        ("payload_max", 512, 2048),
    ):
        for good in (low, high):
            assert _refused(_text(**{name: good})) == ("", ""), (name, good)
        for bad in (low - 1, high + 1, -5, 2**63):
            field, rule = _refused(_text(**{name: bad}))
            assert field == name, (name, bad)
            assert f"{low} to {high}" in rule
    for name, rule in (
        ("health_s", "must be 10 to 86400, or 0 for off"),
        ("commit_after_s", "must be 2 to 60, or 0 for at once"),
        ("backlog_rate", "must be 1 to 10000, or 0 for no limit"),
    ):
        assert _refused(_text(**{name: 0})) == ("", "")
        assert _refused(_text(**{name: -1})) == (name, rule)


def case_topic_parts() -> None:
    """Each part of the topic keeps the rule of topics; some device ids are people's."""
    for name in ("org", "site", "zone", "device_type", "device_id"):
        for bad in ("", "/a", "a/b", "A", "+", "a#", "x" * 33, "-a", "a_b", "a b"):
            assert _refused(_text(**{name: bad}))[0] == name, (name, bad)
    assert _refused(_text(org="/acme"))[1] == "no leading slash"
    assert "7 slashes" in _refused(_text(site="a/b/c"))[1]
    for reserved in ("admin", "operator", "limpet", "monitor", "watch", "root", "broker"):
        assert _refused(_text(device_id=reserved)) == ("device_id", "is a reserved name")
        assert _refused(_text(zone=reserved)) == ("", "")


def case_broker() -> None:
    """A broker is a host name or an address, without scheme, port, path or user."""
    names = ["h", "a-b.example", "1.example", "0x1.b", "a.b0x", "address"]
    addresses = ["10.1.2.3", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "fe80::1"]
    addresses += ["2001:db8::2", "1:2:3:4:5:6:7:8", "::ffff:10.1.2.3"]
    for good in names + addresses:
        assert _refused(_text(broker=good)) == ("", ""), good
    assert _refused(_text(broker="h:8883"))[1] == "must not contain the port"
    for bad in (
        "",
        "mqtts://h",
        "h:8883",
        "h/x",
        "u@h",
        "h h",
        "h\n",
        ".h",
        "h.",
        "a..b",
        "-h",
        "h\u00e9",
        "x" * 254,
        "[::1]",
        "fe80::1%eth0",
        "::g",
    ):
        assert _refused(_text(broker=bad))[0] == "broker", bad
        assert _refused(_text(server_hostname=bad))[0] == "server_hostname", bad


def case_numbers_are_addresses() -> None:
    """What ends in a number is an IPv4 address in full, or refused: each resolver reads it in its
    own way. So is the word that README.md has for an address, and an IPv6 address that is none.
    """
    numbers = ["192.168.001.010", "192.168.1", "192.168.1.300", "0x7f000001", "127.1", "1", "0x"]
    numbers += ["127.0.0.256", "127.0.0.01", "10.1.2.3.4", "2130706433", "0177.0.0.1", "a.1"]
    numbers += ["1.2.3.0x4", "a.0xF", "broker.example.42", "9" * 200]
    colons = [":::", "1::2::3", "1:2:3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "12345::", "::1:"]
    colons += ["::1.2.3", "::1.2.3.400", "1.2.3.4::", "1:2:3:4:5:6:7::8:9"]
    for rule, hosts in (("four numbers", numbers), ("the word", ["ADDRESS"]), ("IPv6", colons)):
        for host in hosts:
            for name in ("broker", "server_hostname"):
                field, said = _refused(_text(**{"port": 8883, name: host}))
                assert field == name, host
                assert rule in said, (host, said)
                assert host == "1" or host not in said
            field, said = _refused(_text(ntp_servers=["h", host]))
            assert (field, said[:10]) == ("ntp_servers", "each must "), host
            assert not config.is_loopback(host)


def case_wifi_has_to_be_named() -> None:
    """A Board with Wi-Fi is told its network; one that is in its network by itself need not be."""
    rule = ("wifi_ssid", "must be given: the Board has Wi-Fi")
    for more in ({}, {"wifi_ssid": None}):
        assert _refused(_text(**more), lambda text: config.parse(text, True)) == rule
        assert config.parse(_text(**more)).wifi_ssid is None
    assert config.parse(_text(wifi_ssid="x"), True).wifi_ssid == "x"


def case_ntp_servers() -> None:
    """Time servers are a list of one to four hosts, each by the rule of a host; or null."""
    for good in (None, ["h"], ["10.1.2.3", "a-b.example", "::1", "ntp"]):
        assert config.parse(_text(ntp_servers=good)).ntp_servers == good
    assert _refused(_text(ntp_servers="h")) == ("ntp_servers", "must be a list")
    for count in (0, 5):
        field, rule = _refused(_text(ntp_servers=["h"] * count))
        assert (field, rule) == ("ntp_servers", "must have 1 to 4 entries")
    hosts: tuple[object, ...] = ("", "h:123", "h h", None, 1, ["h"], {})
    for bad in hosts:
        field, rule = _refused(_text(ntp_servers=["h", bad]))
        assert field == "ntp_servers"
        assert rule.startswith("each must "), rule


def case_public_broker() -> None:
    """A public broker's name is refused however it is written, unless the config says so."""
    names = (
        "test.mosquitto.org",
        "broker.hivemq.com",
        "broker.emqx.io",
        "broker-cn.emqx.io",
        "mqtt.eclipseprojects.io",
        "TEST.Mosquitto.ORG",
        "a.test.mosquitto.org",
    )
    for name in names:
        field, rule = _refused(_text(broker=name))
        assert field == "broker", name
        assert "allow_public_broker" in rule
        assert _refused(_text(broker="10.1.2.3", server_hostname=name))[0] == "server_hostname"
        assert _refused(_text(broker=name, allow_public_broker=True)) == ("", ""), name
        assert _refused(_text(broker=name, allow_public_broker=False))[0] == "broker"
    for name in ("mymosquitto.org", "mosquitto.org.example", "abc.s1.eu.hivemq.cloud"):
        assert _refused(_text(broker=name)) == ("", ""), name


def case_loopback() -> None:
    """Port 1883, or no CA, only towards loopback as it is written down."""
    for host in ("localhost", "LocalHost", "127.0.0.1", "127.255.255.255", "::1"):
        assert _refused(_text(broker=host, port=1883)) == ("", ""), host
        assert _refused(_text(broker=host, ca=None)) == ("", ""), host
    for host in (
        "broker.example",
        "10.1.2.3",
        "128.0.0.1",
        "127.0.0.1.example",
        "127.a.b.c",
        "localhost.example",
        "::2",
        "0.0.0.0",
    ):
        field, rule = _refused(_text(broker=host, port=1883))
        assert field == "port", host
        assert "1883" in rule
        assert _refused(_text(broker=host, ca=None))[0] == "ca", host
        # The name that is verified is not where the connection goes.
        assert _refused(_text(broker=host, port=1883, server_hostname="localhost"))[0] == "port"


def case_together() -> None:
    """Certificate and key, password and user name, Wi-Fi password and SSID come together."""
    assert _refused(_text(cert=None)) == ("key", "needs cert")
    assert _refused(_text(key=None)) == ("cert", "needs key")
    assert _refused(_text(cert=None, key=None)) == ("", "")
    assert _refused(_text(password=HIDDEN)) == ("password", "needs username")
    assert _refused(_text(username="node-2")) == ("username", "must be the same as device_id")
    assert _refused(_text(username="node-1", password=HIDDEN)) == ("", "")
    assert _refused(_text(wifi_password=HIDDEN)) == ("wifi_password", "needs wifi_ssid")
    assert _refused(_text(wifi_ssid="caf\u00e9", wifi_password=HIDDEN[:8])) == ("", "")
    assert _refused(_text(wifi_ssid="\u00e9" * 17))[0] == "wifi_ssid"
    assert _refused(_text(wifi_ssid="x", wifi_password=HIDDEN[:7]))[0] == "wifi_password"


def case_no_value_is_told() -> None:
    """A refusal never shows the value: it may be the password."""
    for values in (
        {"password": HIDDEN},
        {"username": HIDDEN, "password": HIDDEN},
        {"wifi_password": HIDDEN},
        {"password": HIDDEN + "\n", "username": "node-1"},
        {"broker": HIDDEN + "!"},
        {"org": HIDDEN + "!"},
    ):
        field, rule = _refused(_text(**values))
        assert field
        assert HIDDEN not in field + rule


def case_changed() -> None:
    """A config with another interval is written so that it reads the same but for that."""
    before = _text(wifi_ssid='"\u00e9\\', interval_s=10, username="node-1")
    cfg = config.parse(before)
    text = changed(before, 30)
    again = config.parse(text)
    assert again.interval_s == 30
    for number, field in enumerate(config.FIELDS):
        assert cfg[number] == again[number] or field == "interval_s", field
    assert changed(text, 30) == text


def case_longest_fits() -> None:
    """A config with every key at its longest is within the bounds of size and structure."""
    long = {
        "device_id": "d" * 32,
        "username": "d" * 32,
        "org": "o" * 32,
        "broker": "b" * 253,
        "server_hostname": "s" * 253,
        "password": '"' * 128,
        "wifi_ssid": '"' * 32,
        "wifi_password": '"' * 64,
        "ca": '"' * 64,
        "cert": '"' * 64,
        "key": '"' * 64,
        "ntp_servers": ["n" * 253] * 4,
    }
    text = _text(**long)
    wanted = config.parse(_text(interval_s=86400, **long))
    assert config.parse(changed(text, 86400)) == wanted


def case_load() -> None:
    """A file that is not there is refused by its name; one that cannot be read is no refusal."""
    path = "no-such-config.json"
    assert _refused(path, config.load) == (path, "cannot be read")
    try:
        config.load("/")
    except OSError:
        return
    raise AssertionError


def case_mutated() -> None:
    """Whatever bit of a config is flipped: it is read, or refused with a field and a rule."""
    data = _text(port=8883, ca="ca.der", clean_session=False, username="node-1").encode()
    read = 0
    for at in range(len(data)):
        for bit in range(8):
            field, rule = _refused(data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :])
            assert bool(field) == bool(rule)
            read += not field
    assert 0 < read < len(data) * 8
