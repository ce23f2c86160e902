"""The node's config: one flat JSON object, each key known, of one type and keeping its rule.

The same file runs on the node, before any connection, and in `limpet provision`, before anything is
written. A refusal names the field and the rule, never the value: it may be a password. Nothing is
filled in from elsewhere or guessed, and no unknown key is kept.
"""

from collections import namedtuple

from node.shared import topic_rules
from node.shared.errors import ConfigError
from node.shared.reading import INTERVAL_S
from node.shared.strictjson import Shape

SIZE_MAX = 4096
# The longest config has 34 members, one of them a list of four: 74 structural characters.
# Counted before anything is built.
STRUCTURAL_MAX = 80

# These names are people and servers in the broker's access rules. One text, as those below:
# MicroPython keeps every short one for good.
RESERVED_IDS = "admin operator limpet monitor watch root broker"

# A round of silent time servers takes 2 s each.
HOSTS_MAX = 4

# Brokers where anybody reads what anybody sends; the names below these domains count too.
PUBLIC_BROKERS = (
    "mosquitto.org broker.hivemq.com mqttdashboard.com emqx.io eclipseprojects.io iot.eclipse.org "
    "mqtthq.com mqtt.cool mosca.io fluux.io bevywise.com"
)

WIFI_RULE = "must be given: the Board has Wi-Fi"

_REQUIRED = ()
_ENOENT = 2  # on every port that a node runs on


def load(path, wifi=False):
    """Config in the file at `path` (str), for `wifi` see `parse`. Raises ConfigError, and OSError
    for a file that is there and cannot be read.
    """
    try:
        with open(path, "rb") as file:
            # Room for what is there, instead of for what might be: it has to be in one piece.
            size = file.seek(0, 2)
            file.seek(0)
            data = file.read(min(size, SIZE_MAX + 1))
    except OSError as error:
        if error.errno != _ENOENT:
            raise  # the flash fails: another boot may read it
        raise ConfigError(path, "cannot be read")
    return parse(data, wifi)


def parse(text, wifi=False):
    """Config from JSON (bytes or str). `wifi`: whether it is for a Board that has to be told its
    network. Raises ConfigError(field, rule).
    """
    data = text.encode() if isinstance(text, str) else text
    if len(data) > SIZE_MAX:
        raise ConfigError("config", "at most %d bytes" % SIZE_MAX)
    try:
        values = Shape(data, len(data), STRUCTURAL_MAX).load()
    except ValueError as exc:
        raise ConfigError("config", "must be JSON, each key once: " + exc.args[0])
    if not isinstance(values, dict):
        raise ConfigError("config", "must be a JSON object")
    for name in values:
        if name not in FIELDS:
            raise ConfigError(_shown(name), "unknown key")
    config = Config(*[_value(values, key) for key in _KEYS])
    _check_together(config)
    if wifi and config.wifi_ssid is None:
        raise ConfigError("wifi_ssid", WIFI_RULE)
    return config


def fault(name, value):
    """The rule that `value` breaks as the field `name` (str) by itself, or None."""
    try:
        _value({name: value}, _KEYS[FIELDS.index(name)])
    except ConfigError as error:
        return error.text
    return None


def is_loopback(host):
    """True for localhost, 127.0.0.0/8 and ::1 (str) as written: 127.1 or 0177.0.0.1 are not."""
    if host.lower() == "localhost" or host == "::1":
        return True
    return _is_ipv4(host) and int(host.split(".")[0]) == 127


def is_public(host):
    """True when `host` (str) is, or is below, one of PUBLIC_BROKERS."""
    host = host.lower()
    return any(host == name or host.endswith("." + name) for name in PUBLIC_BROKERS.split())


def _value(values, key):
    name, default, rule = key
    value = values.get(name, default)
    if value is _REQUIRED:
        raise ConfigError(name, "is required")
    if value is None and name in _NULLABLE:
        return None
    fault = rule(value)
    if fault:
        raise ConfigError(name, fault)
    return value


def _check_together(config):
    """The rules that need more than one field."""
    for name, host in (("broker", config.broker), ("server_hostname", config.server_hostname)):
        if host and is_public(host) and not config.allow_public_broker:
            raise ConfigError(name, 'is a public broker: only with "allow_public_broker": true')
    if not is_loopback(config.broker):
        if config.port == 1883:
            raise ConfigError("port", "1883 is not encrypted: only to " + _LOOPBACK)
        if config.ca is None:
            raise ConfigError("ca", "must be given: null only to " + _LOOPBACK)
    for name, value, needs, other in (
        ("cert", config.cert, "key", config.key),
        ("key", config.key, "cert", config.cert),
        # MQTT 3.1.1, 3.1.2.9: no password without a user name.
        ("password", config.password, "username", config.username),
        ("wifi_password", config.wifi_password, "wifi_ssid", config.wifi_ssid),
    ):
        if value is not None and other is None:
            raise ConfigError(name, "needs " + needs)
    if config.username not in (None, config.device_id):
        raise ConfigError("username", "must be the same as device_id")


def _shown(name):
    """An unknown key as it may be printed."""
    return "".join(c if " " < c <= "~" else "?" for c in name[:32])


def _whole(low, high, zero=None):
    def rule(value):
        if type(value) is not int:  # isinstance would take true for 1
            return "must be a whole number"
        if low <= value <= high or (zero and value == 0):
            return None
        return "must be %d to %d%s" % (low, high, ", or 0 for " + zero if zero else "")

    return rule


def _text(low, high):
    def rule(value):
        if not isinstance(value, str):
            return "must be a string"
        if not low <= len(value.encode()) <= high:
            return "must have %d to %d bytes" % (low, high)
        if any(c < " " or c == "\x7f" for c in value):
            return "no control characters"
        return None

    return rule


def _flag(value):
    return None if isinstance(value, bool) else "must be true or false"


def _part(value):
    return topic_rules.fault(value) if isinstance(value, str) else "must be a string"


def _device_id(value):
    return _part(value) or ("is a reserved name" if value in RESERVED_IDS.split() else None)


def _host(host):
    """The rule that `host` breaks as a host name or an address, or None."""
    if not isinstance(host, str):
        return "must be a string"
    if not 1 <= len(host) <= 253:
        return "must have 1 to 253 characters"
    if host == "ADDRESS":
        return "must be the address itself, not the word for it"
    if host.count(":") == 1:
        return "must not contain the port"
    host = host.lower()
    address = ":" in host
    if not _only(host, _IPV6 if address else _CHARACTERS):
        return "must be a host name or an IP address and nothing else"
    if address:
        return None if _is_ipv6(host) else "must be an IPv6 address in full, or with one ::"
    labels = host.split(".")
    if any(not each or each[0] == "-" or each[-1] == "-" for each in labels):
        return "must be a host name: letters, digits and hyphens between dots"
    last = labels[-1]
    if (last.isdigit() or (last[:2] == "0x" and _only(last[2:], _HEX))) and not _is_ipv4(host):
        return "must be four numbers up to 255, without leading zeros: no name ends in a number"
    return None


def _only(text, characters):
    return all(each in characters for each in text)


def _is_ipv4(host):
    octets = host.split(".")
    return len(octets) == 4 and all(
        each.isdigit() and len(each) < 4 and str(int(each)) == each and int(each) < 256
        for each in octets
    )


def _is_ipv6(host):
    """Whether hexadecimal digits, colons and dots are one (RFC 4291, 2.2)."""
    last = host.rpartition(":")[2]
    if "." in last:
        if not _is_ipv4(last):
            return False
        host = host[: -len(last)] + "0:0"
    halves = host.split("::")
    groups = [each for half in halves if half for each in half.split(":")]
    if len(halves) > 2 or not all(0 < len(each) < 5 and "." not in each for each in groups):
        return False
    return len(groups) == 8 if len(halves) == 1 else len(groups) < 8


def _hosts(value):
    if not isinstance(value, list):
        return "must be a list"
    if not 1 <= len(value) <= HOSTS_MAX:
        return "must have 1 to %d entries" % HOSTS_MAX
    for each in value:
        fault = _host(each)
        if fault:
            return "each " + fault
    return None


_HEX = "0123456789abcdef"
_IPV6 = "0123456789abcdef:."
_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789-."
_LOOPBACK = "localhost, 127.0.0.0/8 or ::1"

# Name, default, rule; in the order of Config's fields. The comments are what the page about the
# config says (tools/docs/reference.py): what it is for, in which unit, and when to change it.
_KEYS = (
    # Its name: client id, name in its certificate, and last level of its topics.
    ("device_id", _REQUIRED, _device_id),
    # First level of its topics.
    ("org", _REQUIRED, _part),
    # Second level of its topics.
    ("site", _REQUIRED, _part),
    # Third level of its topics.
    ("zone", _REQUIRED, _part),
    # Fourth level of its topics.
    ("device_type", _REQUIRED, _part),
    # Host name or address of the broker.
    ("broker", _REQUIRED, _host),
    # The broker's port for TLS. 1883, which is not encrypted, on loopback only.
    ("port", 8883, _whole(1, 65535)),
    # Name that the broker's certificate has to carry, where that is not `broker`.
    ("server_hostname", None, _host),
    # File beside the config: the authority's certificate, DER. null: no TLS, on loopback only.
    ("ca", "ca.der", _text(1, 64)),
    # File beside the config: the node's certificate, DER. null: it shows none.
    ("cert", "cert.der", _text(1, 64)),
    # File beside the config: the key to that certificate, DER.
    ("key", "key.der", _text(1, 64)),
    # User name for a broker that wants one besides the certificate: the same as `device_id`.
    ("username", None, _part),
    # The password that goes with it.
    ("password", None, _text(1, 128)),
    # Seconds from one Reading to the next. The Command set_interval changes it.
    ("interval_s", 10, _whole(*INTERVAL_S)),
    # Seconds without a word after which the broker takes the node for lost; the node pings before.
    ("keepalive_s", 60, _whole(10, 3600)),
    # Seconds that the whole TLS handshake may take.
    ("handshake_s", 60, _whole(5, 300)),
    # Messages that may be on their way at once, not acknowledged yet.
    ("window", 8, _whole(1, 32)),
    # Whether the broker is to forget the session at each connect, with the Commands it has queued.
    ("clean_session", False, _flag),
    # QoS of Readings. 0: what is sent while a connection breaks is lost.
    ("telemetry_qos", 1, _whole(0, 1)),
    # QoS with which Commands are subscribed to.
    ("command_qos", 1, _whole(1, 2)),
    # The highest QoS that the broker can do: some close the connection of who asks for more.
    ("max_qos", 2, _whole(0, 2)),
    # Whether the broker keeps retained Messages: some close the connection of who sends one.
    ("retain", True, _flag),
    # Readings wait until the birth has come back once: a broker whose rules deny what the node
    # publishes acknowledges and drops it. Off: for one that never lets the node read its status.
    ("hold_unheard", True, _flag),
    # Readings that the store on flash holds, 24 bytes each: 20,000 are 480 KB, 55 hours at one per
    # 10 s. The oldest go first.
    ("outbox_readings", 20000, _whole(256, 60000)),
    # Seconds that a Reading waits for its acknowledgement before it is written to flash. 0 costs
    # wear for each Reading, and loses none in a reset that comes without warning.
    ("commit_after_s", 2, _whole(2, 60, "at once")),
    # Readings per second at most, after an outage.
    ("backlog_rate", 0, _whole(1, 10000, "no limit")),
    # Bytes of a batch of Readings, for a broker that takes no longer packets (and topic and header
    # are some 60 more). A birth and health have up to 512 themselves, and cannot be cut.
    ("payload_max", 2048, _whole(512, 2048)),
    # Seconds from one `health` to the next.
    ("health_s", 300, _whole(10, 86400, "off")),
    # Time servers, names or addresses. null: the firmware's own list. Needed where only a time
    # server of one's own can be reached.
    ("ntp_servers", None, _hosts),
    # Seconds that Readings wait for the time, from the first try on; then they go out without.
    ("no_time_after_s", 600, _whole(30, 86400)),
    # Name of the Wi-Fi: 1 to 32 bytes (IEEE 802.11). Not for a Board without.
    ("wifi_ssid", None, _text(1, 32)),
    # Its password: a WPA passphrase of 8 to 63, or a key in hex of 64. null: an open network.
    ("wifi_password", None, _text(8, 64)),
    # Allows a broker where anybody reads what anybody sends.
    ("allow_public_broker", False, _flag),
    # A retained Command comes at each connect. Off: for a broker that marks as retained what it has
    # queued, as amqtt by itself does; then ids and ttl are what protects.
    ("refuse_retained_commands", True, _flag),
)
_NULLABLE = ("ca", "cert", "key") + tuple(name for name, default, _ in _KEYS if default is None)

FIELDS = tuple(key[0] for key in _KEYS)
Config = namedtuple("Config", FIELDS)
