"""Cases of node/config: what is refused, by which field and which rule; which copy counts."""

import json

from node.config import config, rules, settings, written
from node.config.settings import values
from node.shared.errors import ConfigError
from support.parts.rig import Flash, changed

# MicroPython has no typing; it never looks at an annotation.
if False:
    from typing import Any

NEEDED = {
    "device_id": "node-1",
    "org": "limpet",
    "site": "home",
    "zone": "desk",
    "device_type": "climate",
    "broker": "broker.example",
}


WRONG_NUMBERS = ("true", "8.0", '"8"', "null", "[8]", "1e999")
IN_SETTINGS = [key[0] for key in config.SETTINGS]
# Something that no refusal may show, long enough for every rule.
HIDDEN = "hunter2-hunter2"


def _text(**more: object) -> "tuple[str, str]":
    """Return the texts of identity and settings, each with what of `more` belongs into it."""
    values: dict[str, object] = dict(NEEDED)
    values.update(more)
    identity, own = config.split(values)
    return json.dumps(identity), json.dumps(own)


def _parse(texts: "tuple[str, str]", wifi: bool = False) -> dict:
    """Return all that both say."""
    found = dict(config.identity(texts[0], wifi))
    found.update(config.settings(texts[1], found))
    return found


def _refused(texts: "tuple[str, str]", wifi: bool = False) -> "tuple[str, str]":
    try:
        _parse(texts, wifi)
    except ConfigError as error:
        return error.field, error.text
    return "", ""


def _alone(read, text: "str | bytes") -> "tuple[str, str]":  # type: ignore[no-untyped-def]
    """Field and rule by which one file is refused."""
    from node.shared import errors  # another one, where somebody has let go of the first meanwhile

    try:
        read(text)
    except (ConfigError, errors.ConfigError) as error:
        return error.field, error.text
    return "", ""


def case_defaults() -> None:
    """Six keys are enough; what they leave out is as documented."""
    cfg: Any = values(_parse(_text()))
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
    assert cfg.version == 1
    identity, own = _text()
    assert config.identity(identity.encode()) == config.identity(identity)
    assert config.settings(own.encode()) == config.settings(own)


def case_required() -> None:
    """Each of the six is required, and of each file the number of its format."""
    for name in NEEDED:
        values = {"v": 1}
        values.update(NEEDED)  # type: ignore[arg-type]
        del values[name]
        assert _alone(config.identity, json.dumps(values)) == (name, "is required")
    assert _alone(config.identity, json.dumps(NEEDED)) == ("v", "is required")
    assert _alone(config.settings, "{}") == ("v", "is required")


def case_another_format_is_refused() -> None:
    """A file of a number that this code does not know is not guessed at."""
    rule = ("v", "must be 1: this code knows no other")
    for number in (0, 2, True, "1", 1.5, [1]):
        values = dict(NEEDED)
        values["v"] = number  # type: ignore[assignment]
        assert _alone(config.identity, json.dumps(values)) == rule
        assert _alone(config.settings, json.dumps({"v": number})) == rule


def case_unknown_key() -> None:
    """A key that is not known is refused by its name, which is made harmless."""
    assert _refused(_text(intervall_s=5)) == ("intervall_s", "unknown key")
    assert _refused(_text(Broker="x")) == ("Broker", "unknown key")
    assert _refused(_text(**{"a\n\u00e9" + "b" * 99: 1})) == ("a??" + "b" * 29, "unknown key")


def case_key_of_the_other_file() -> None:
    """A key that belongs into the other file is sent there, in whichever way they were mixed up."""
    identity, own = _text()
    for name, value in (("interval_s", "10"), ("ntp_servers", "null"), ("version", "2")):
        text = f'{identity[:-1]},"{name}":{value}}}'
        assert _alone(config.identity, text) == (name, "belongs into settings.json")
    for name in ("device_id", "password", "wifi_ssid", "allow_public_broker"):
        text = f'{own[:-1]},"{name}":"x"}}'
        assert _alone(config.settings, text) == (name, "belongs into identity.json")
    assert _alone(config.settings, identity)[1] == "belongs into identity.json"


def case_split() -> None:
    """Fields go into the file of theirs; what is none goes where it is refused."""
    identity, own = config.split({"zone": "z", "interval_s": 5, "colour": 1, "version": 7})
    assert identity == {"v": 1, "zone": "z", "colour": 1}
    assert own == {"v": 1, "version": 7, "interval_s": 5}
    assert config.split({}) == ({"v": 1}, {"v": 1, "version": 1})


def case_not_json() -> None:
    """What is no JSON object, or has a key twice, is refused, though MicroPython would take it."""
    files = (("identity", config.identity), ("settings", config.settings))
    for (name, read), whole in zip(files, _text()):  # noqa: B905 - MicroPython has no strict
        for text in (
            "",
            "[]",
            "null",
            whole[:-1],
            whole + "}",
            whole[:-1] + ",}",
            whole[:-1] + "]",
        ):
            field, rule = _alone(read, text)
            assert field == name, text
            assert "JSON" in rule
        field, rule = _alone(read, whole[:-1] + ',"v":1,"v":1}')
        assert (field, rule[-13:]) == (name, "duplicate-key")
        assert _alone(read, whole + " " * 4096) == (name, "at most 4096 bytes")
        assert _alone(read, b'{"v":"\xff"}')[0] == name


def case_types() -> None:
    """A wrong type is refused with the field's name; true is no number, 8883.0 no whole one."""
    texts = ("device_id", "org", "broker", "server_hostname", "ca", "cert", "username", "password")
    numbers = ("port", "interval_s", "window", "telemetry_qos", "health_s", "version")
    flags = ("clean_session", "allow_public_broker", "refuse_retained_commands")
    identity, _ = _text()
    for names, rule, wrong in (
        (texts, "must be a string", ("1", "true", "[]", "{}", "1.5")),
        (numbers, "must be a whole number", WRONG_NUMBERS),
        (flags, "must be true or false", ("1", "0", '"true"', "null")),
    ):
        for name in names:
            for value in wrong:
                read, text = config.settings, '{"v":1}'
                if name not in IN_SETTINGS:
                    # A required one would be there twice.
                    read, text = config.identity, identity.replace(f'"{name}"', '"ca"')
                text = f'{text[:-1]},"{name}":{value}}}'
                assert _alone(read, text) == (name, rule), text
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
        ("version", 1, 1_000_000_000),
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
            assert not rules.is_loopback(host)


def case_wifi_has_to_be_named() -> None:
    """A Board with Wi-Fi is told its network; one that is in its network by itself need not be."""
    rule = ("wifi_ssid", "must be given: the Board has Wi-Fi")
    for more in ({}, {"wifi_ssid": None}):
        assert _refused(_text(**more), True) == rule
        assert _parse(_text(**more))["wifi_ssid"] is None
    assert _parse(_text(wifi_ssid="x"), True)["wifi_ssid"] == "x"


def case_ntp_servers() -> None:
    """Time servers are a list of one to four hosts, each by the rule of a host; or null."""
    for good in (None, ["h"], ["10.1.2.3", "a-b.example", "::1", "ntp"]):
        assert _parse(_text(ntp_servers=good))["ntp_servers"] == good
    assert _refused(_text(ntp_servers="h")) == ("ntp_servers", "must be a list")
    for count in (0, 5):
        field, rule = _refused(_text(ntp_servers=["h"] * count))
        assert (field, rule) == ("ntp_servers", "must have 1 to 4 entries")
    hosts: tuple[object, ...] = ("", "h:123", "h h", None, 1, ["h"], {})
    for bad in hosts:
        field, rule = _refused(_text(ntp_servers=["h", bad]))
        assert field == "ntp_servers"
        assert rule.startswith("each must "), rule


def case_more_brokers() -> None:
    """Further brokers are a list of one to three, each a host, with its port behind a colon where
    that is another; or null.
    """
    for good in (
        None,
        ["h"],
        ["10.1.2.3:1", "a-b.example:65535", "[::1]:8884"],
        ["::1", "[::2]:7"],
    ):
        assert _parse(_text(more_brokers=good))["more_brokers"] == good
    assert _refused(_text(more_brokers="h")) == ("more_brokers", "must be a list")
    for count in (0, 4):
        field, rule = _refused(_text(more_brokers=["h"] * count))
        assert (field, rule) == ("more_brokers", "must have 1 to 3 entries")
    others: tuple[object, ...] = (None, 1, ["h"], {"broker": "h"}, True)
    for other in others:
        found = _refused(_text(more_brokers=["h", other]))
        assert found == ("more_brokers", "each must be a string"), other
    for bad in ("h:0", "h:65536", "h:", "h:x", "h:1883x", "h:-1", "h:1.5", "h: 1", "h:\u00b2"):
        found = _refused(_text(more_brokers=[bad]))
        assert found == ("more_brokers", "each port must be 1 to 65535"), bad
    for bad in ("", ":8883", "h h", "mqtts://h", "ADDRESS", "127.1", "[::1]", "[h", "::g", "u@h:1"):
        found = _refused(_text(more_brokers=[bad]))
        assert (found[0], found[1][:5]) == ("more_brokers", "each "), bad


def case_more_brokers_once() -> None:
    """None is there twice; the first one may be, as an identity that is new is no fault of settings
    that are old.
    """
    for twice in (["h", "h"], ["h", "H"], ["h:1", "h:1"], ["h:1", "[h]:1"]):
        assert _refused(_text(more_brokers=twice)) == ("more_brokers", "must not name one twice")
    assert _refused(_text(more_brokers=["h:1", "h:2", "h"])) == ("", "")
    assert _refused(_text(more_brokers=[NEEDED["broker"]])) == ("", "")


def case_more_brokers_beside_the_first() -> None:
    """What the identity does not allow for one is not allowed for the others either: a public one,
    or one without encryption, or without an authority, beyond loopback.
    """
    public = ("more_brokers", 'a public broker only with "allow_public_broker": true')
    for more in (["test.mosquitto.org"], ["h", "broker.hivemq.com:8883"]):
        assert _refused(_text(more_brokers=more)) == public
        assert _refused(_text(more_brokers=more, allow_public_broker=True)) == ("", "")
    plain = ("more_brokers", "1883 is not encrypted: only to loopback")
    assert _refused(_text(more_brokers=["h:1883"])) == plain
    assert _refused(_text(broker="::1", port=1883, more_brokers=["h"])) == plain
    more = ["h:8883", "127.0.0.2"]
    assert _refused(_text(broker="::1", port=1883, more_brokers=more)) == ("", "")
    ca = ("more_brokers", '"ca": null is for loopback only')
    assert _refused(_text(broker="::1", ca=None, more_brokers=["h"])) == ca
    assert _refused(_text(broker="::1", ca=None, more_brokers=["localhost:1884"])) == ("", "")


def case_code_from_before_more_brokers() -> None:
    """An identity has no word of them: code from before the field, to which a node may fall back,
    takes it, and has settings of its own.
    """
    identity, own = config.split({"more_brokers": ["h"], "zone": "z"})
    assert "more_brokers" not in identity
    assert own["more_brokers"] == ["h"]


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
    for more in (
        {"password": HIDDEN},
        {"username": HIDDEN, "password": HIDDEN},
        {"wifi_password": HIDDEN},
        {"password": HIDDEN + "\n", "username": "node-1"},
        {"broker": HIDDEN + "!"},
        {"org": HIDDEN + "!"},
    ):
        field, rule = _refused(_text(**more))
        assert field
        assert HIDDEN not in field + rule


def case_changed() -> None:
    """Settings with another interval are written so that they read the same but for that, and for
    their version, which counts on; at its end it begins again.
    """
    before = _text(ntp_servers=["a.example", "::1"], interval_s=10, window=3)[1]
    cfg = config.settings(before)
    again = config.settings(changed(before, 30))
    assert again["interval_s"] == 30
    assert again["version"] == cfg["version"] + 1 == 2
    for field in cfg:
        assert cfg[field] == again[field] or field in ("interval_s", "version"), field
    last = json.dumps({"v": 1, "version": 1_000_000_000})
    assert config.settings(changed(last, 30))["version"] == 1


def case_users_are_told_of_a_change() -> None:
    """Each user is told once, by the settings that are in force from now on; of a change that flash
    refuses nobody is told, and nothing has changed.
    """
    heard: list = []

    def user(own) -> None:  # type: ignore[no-untyped-def]
        heard.append((own.interval_s, own.version))

    flash = Flash()
    flash.files["/a/settings.json"] = b'{"v": 1, "version": 6, "window": 4}'
    own: Any = values({"interval_s": 10, "version": 6}, "/a/settings.json", (user, user))
    written.change(own, "interval_s", 30, flash.read, flash.replace)
    assert heard == [(30, 7), (30, 7)]
    kept = {"v": 1, "version": 7, "window": 4, "interval_s": 30}
    assert json.loads(flash.files["/a/settings.json"]) == kept
    flash.full = True
    try:
        written.change(own, "interval_s", 60, flash.read, flash.replace)
    except OSError:
        assert (own.interval_s, own.version, len(heard)) == (30, 7, 2)
    else:
        raise AssertionError("taken")


def case_settings_that_are_gone_are_flash_that_failed() -> None:
    """A change of a file that is not there any more, or no JSON object, is refused as flash that
    cannot be written is: no bug, and nothing has changed.
    """
    own: Any = values({"interval_s": 10, "version": 6}, "settings.json", (None,))
    for text in (None, b"", b"[1]", b"null", b"7", b"x"):
        flash = Flash()
        if text is not None:
            flash.files["settings.json"] = text
        try:
            written.change(own, "interval_s", 30, flash.read, flash.replace)
        except OSError:
            assert flash.files.get("settings.json") == text
            assert (own.interval_s, own.version) == (10, 6)
        else:
            raise AssertionError(text)


def case_longest_fits() -> None:
    """Files with every key at its longest are within the bounds of size and structure, and both
    together as one line are within those of structure.
    """
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
        "more_brokers": ["n" * 252 + each for each in "abc"],
    }
    wanted = _parse(_text(interval_s=86400, **long))
    wanted["version"] = 2
    identity, own = _text(**long)
    again = dict(config.identity(identity))
    again.update(config.settings(changed(own, 86400)))
    assert again == wanted
    for name in wanted:
        long.setdefault(name, wanted[name])
    identity, own = (json.dumps(each) for each in config.split(long))
    assert _parse((identity, own))["broker"] == long["broker"]
    structure = sum((identity[1:-1] + own).count(each) for each in ":,[]{}")
    assert structure + 1 <= config.STRUCTURAL_MAX


def _seal(text: str) -> bytes:
    return written.sealed(json.loads(text))


def _loaded(flash: Flash, lines: "list | None" = None) -> "tuple":
    """What a boot takes from this flash, and what it says."""
    said: list = [] if lines is None else lines
    log = lambda area, words: said.append(area + " " + words)  # noqa: E731
    own, cfg = settings.load(flash.read, flash.replace, "settings.json", False, log)
    return own.zone, cfg.version


def _flash(first: "bytes | None", spare: "bytes | None") -> Flash:
    flash = Flash()
    for name, data in (("identity.json", first), ("identity.bak", spare)):
        if data is not None:
            flash.files[name] = data
    flash.files["settings.json"] = b'{"v": 1, "version": 3}'
    return flash


def case_identity_is_mended_from_its_copy() -> None:
    """Whichever of the two is missing, cut short or not its own: the other one counts, and both are
    the same afterwards. Where both are whole and differ, identity.json is the newer one.
    """
    old, new = (_seal(_text(zone=name)[0]) for name in ("old", "new"))
    for first, spare, zone, mended in (
        (new, new, "new", None),
        (new, old, "new", "identity.bak"),
        (new, None, "new", "identity.bak"),
        (new, b"", "new", "identity.bak"),
        (new, new[:-7], "new", "identity.bak"),
        (None, old, "old", "identity.json"),
        (b"", old, "old", "identity.json"),
        (new[:99], old, "old", "identity.json"),
        # Without its CRC-32 it is nobody's word against a copy that has one.
        (_text(zone="new")[0].encode(), old, "old", "identity.json"),
    ):
        flash, lines = _flash(first, spare), []  # type: ignore[var-annotated]
        assert _loaded(flash, lines) == (zone, 3)
        good = new if zone == "new" else old
        assert flash.files["identity.json"] == flash.files["identity.bak"] == good
        assert lines == (["config mended " + mended] if mended else [])
        assert _loaded(flash, lines) == (zone, 3)
        assert flash.writes == len(lines)


def case_identity_on_a_full_flash() -> None:
    """It cannot be mended there, and is taken all the same."""
    flash = _flash(_seal(_text()[0]), None)
    flash.full = True
    assert _loaded(flash) == ("desk", 3)


def case_any_flipped_bit_of_a_copy_is_mended() -> None:
    """Each bit of each byte, in either copy: what is taken is the other one, and both are whole."""
    whole = _seal(_text(username="node-1", password=HIDDEN)[0])
    for name in ("identity.json", "identity.bak"):
        for at in range(len(whole)):
            for bit in range(8):
                flash = _flash(whole, whole)
                damaged = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
                flash.files[name] = damaged
                assert settings.mended(flash.read, flash.replace, _silent) == settings.unseal(whole)
                assert flash.files["identity.json"] == flash.files["identity.bak"] == whole


def _silent(area: str, words: str) -> None:
    pass


def case_damaged_copies() -> None:
    """Both damaged is a refusal by name, and so is one without a second: nothing is written."""
    whole = _seal(_text()[0])
    bad = whole[:50] + b"#" + whole[51:]
    rule = ("identity", "identity.json is damaged, and so is identity.bak")
    for first, spare in ((bad, bad), (bad, None), (bad, b""), (b"", b""), (b"", bad), (None, bad)):
        flash = _flash(first, spare)
        assert _alone(lambda _, flash=flash: _loaded(flash), "") == rule, (first, spare)
        assert flash.writes == 0


def case_edited_by_hand() -> None:
    """A laptop's identity has neither CRC-32 nor copy, and stays so; what it breaks is named."""
    text = _text(zone="shed")[0].encode()
    flash = _flash(text, None)
    assert _loaded(flash) == ("shed", 3)
    assert (flash.files["identity.json"], flash.writes) == (text, 0)
    assert "identity.bak" not in flash.files
    flash = _flash(_text(colour=1)[0].encode(), None)
    assert _alone(lambda _: _loaded(flash), "") == ("colour", "unknown key")


def case_one_without_the_other() -> None:
    """An identity without settings, and settings without an identity, are refused by the file."""
    flash = _flash(None, None)
    assert _alone(lambda _: _loaded(flash), "") == ("identity", "identity.json cannot be read")
    flash = _flash(_seal(_text()[0]), _seal(_text()[0]))
    del flash.files["settings.json"]
    assert _alone(lambda _: _loaded(flash), "") == ("settings", "settings.json cannot be read")


def case_mutated() -> None:
    """Whatever bit of a file is flipped: it is read, or refused with a field and a rule."""
    more = {"port": 8883, "ca": "ca.der", "clean_session": False, "username": "node-1"}
    for check, text in zip((config.identity, config.settings), _text(window=12, **more)):  # noqa: B905 - as above
        data, read = text.encode(), 0
        for at in range(len(data)):
            for bit in range(8):
                mutated = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
                field, rule = _alone(check, mutated)
                assert bool(field) == bool(rule)
                read += not field
        assert 0 < read < len(data) * 8
