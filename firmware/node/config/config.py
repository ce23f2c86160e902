"""The node's config: two files, each one flat JSON object, each key known, of one type and keeping
its rule.

The identity is what only a visit or a rotation changes; the settings are what may change while the
node runs, and belong to its code. The same file runs on the node, before any connection, and in
`limpet provision`, before anything is written. A refusal names the field and the rule, never the
value: it may be a password. Nothing is filled in from elsewhere or guessed, and no unknown key is
kept.
"""

from node.config import rules
from node.shared.errors import ConfigError
from node.shared.reading import INTERVAL_S
from node.shared.strictjson import Shape

# The files' names, and of the identity's second copy.
IDENTITY_FILE = "identity.json"
SETTINGS_FILE = "settings.json"
# Of each of the two, and of both as one line.
SIZE_MAX = 4096
# Both together have 38 members, two of them lists, of four and of three: 86 structural characters
# at most. Counted before anything is built.
STRUCTURAL_MAX = 86
# `version` counts to here, and then from 1 again: a small int on every port.
VERSION_MAX = 1_000_000_000

WIFI_RULE = "must be given: the Board has Wi-Fi"

_REQUIRED = ()
_LOOPBACK = "localhost, 127.0.0.0/8 or ::1"


def identity(text, wifi=False):
    """The identity in JSON (bytes or str): a dict of all its fields. `wifi`: whether it is for a
    Board that has to be told its network. Raises ConfigError(field, rule).
    """
    values = _read(text, "identity", IDENTITY, SETTINGS, SETTINGS_FILE)
    _check_together(values)
    if wifi and values["wifi_ssid"] is None:
        raise ConfigError("wifi_ssid", WIFI_RULE)
    return values


def settings(text, own=None):
    """The settings in JSON (bytes or str): a dict of all. `own`: the identity (dict) beside which
    they are to hold. Raises ConfigError(field, rule).
    """
    values = _read(text, "settings", SETTINGS, IDENTITY, IDENTITY_FILE)
    if own and values["more_brokers"]:
        from node.config import more_brokers

        wrong = more_brokers.fault(values["more_brokers"], own)
        if wrong:
            raise ConfigError("more_brokers", wrong)
    return values


def split(values):
    """Fields (dict) as the values of the two files, `v` and `version` included; what is no field is
    left to the identity, which is refused for it.
    """
    settings = {"v": 1, "version": 1}
    identity = {"v": 1}
    for name in values:
        (settings if _key(SETTINGS, name) else identity)[name] = values[name]
    return identity, settings


def fault(name, value):
    """The rule that `value` breaks as the field `name` (str) by itself, or None."""
    try:
        _value({name: value}, _key(IDENTITY, name) or _key(SETTINGS, name))
    except ConfigError as error:
        return error.text
    return None


def _read(text, what, table, others, file):
    data = text.encode() if isinstance(text, str) else text
    if len(data) > SIZE_MAX:
        raise ConfigError(what, "at most %d bytes" % SIZE_MAX)
    try:
        values = Shape(data, len(data), STRUCTURAL_MAX).load()
    except ValueError as exc:
        raise ConfigError(what, "must be JSON, each key once: " + exc.args[0])
    if not isinstance(values, dict):
        raise ConfigError(what, "must be a JSON object")
    for name in values:
        if not _key(table, name):
            rule = "belongs into " + file if _key(others, name) else "unknown key"
            raise ConfigError(_shown(name), rule)
    return {key[0]: _value(values, key) for key in table}


def _key(table, name):
    """The entry of `name` in a table, or None."""
    for key in table:
        if key[0] == name:
            return key
    return None


def _value(values, key):
    name, default, rule = key
    value = values.get(name, default)
    if value is _REQUIRED:
        raise ConfigError(name, "is required")
    if value is None and (default is None or name in _NULLABLE):
        return None
    fault = rule(value)
    if fault:
        raise ConfigError(name, fault)
    return value


def _check_together(values):
    """The rules that need more than one field, all of the identity."""
    for name in ("broker", "server_hostname"):
        host = values[name]
        if host and rules.is_public(host) and not values["allow_public_broker"]:
            raise ConfigError(name, 'is a public broker: only with "allow_public_broker": true')
    if not rules.is_loopback(values["broker"]):
        if values["port"] == 1883:
            raise ConfigError("port", "1883 is not encrypted: only to " + _LOOPBACK)
        if values["ca"] is None:
            raise ConfigError("ca", "must be given: null only to " + _LOOPBACK)
    for name, needs in (
        ("cert", "key"),
        ("key", "cert"),
        # MQTT 3.1.1, 3.1.2.9: no password without a user name.
        ("password", "username"),
        ("wifi_password", "wifi_ssid"),
    ):
        if values[name] is not None and values[needs] is None:
            raise ConfigError(name, "needs " + needs)
    if values["username"] not in (None, values["device_id"]):
        raise ConfigError("username", "must be the same as device_id")


def _shown(name):
    """An unknown key as it may be printed."""
    return "".join(c if " " < c <= "~" else "?" for c in name[:32])


def _format(value):
    return None if type(value) is int and value == 1 else "must be 1: this code knows no other"


def more_brokers(value):
    """The rule of that field, which is loaded where it is needed."""
    from node.config import more_brokers

    return more_brokers.fault(value)


# Name, default, rule. The comments are what the page about the config says
# (tools/docs/reference.py): what it is for, in which unit, and when to change it.
IDENTITY = (
    # Number of this file's format: 1.
    ("v", _REQUIRED, _format),
    # Its name: client id, name in its certificate, and last level of its topics.
    ("device_id", _REQUIRED, rules.device_id),
    # First level of its topics.
    ("org", _REQUIRED, rules.part),
    # Second level of its topics.
    ("site", _REQUIRED, rules.part),
    # Third level of its topics.
    ("zone", _REQUIRED, rules.part),
    # Fourth level of its topics.
    ("device_type", _REQUIRED, rules.part),
    # Host name or address of the broker.
    ("broker", _REQUIRED, rules.host),
    # The broker's port for TLS. 1883, which is not encrypted, on loopback only.
    ("port", 8883, rules.whole(1, 65535)),
    # Name that the broker's certificate has to carry, where that is not `broker`.
    ("server_hostname", None, rules.host),
    # File beside this one: the authority's certificate, DER. null: no TLS, on loopback only.
    ("ca", "ca.der", rules.text(1, 64)),
    # File beside this one: the node's certificate, DER. null: it shows none.
    ("cert", "cert.der", rules.text(1, 64)),
    # File beside this one: the key to that certificate, DER.
    ("key", "key.der", rules.text(1, 64)),
    # User name for a broker that wants one besides the certificate: the same as `device_id`.
    ("username", None, rules.part),
    # The password that goes with it.
    ("password", None, rules.text(1, 128)),
    # Name of the Wi-Fi: 1 to 32 bytes (IEEE 802.11). Not for a Board without.
    ("wifi_ssid", None, rules.text(1, 32)),
    # Its password: a WPA passphrase of 8 to 63, or a key in hex of 64. null: an open network.
    ("wifi_password", None, rules.text(8, 64)),
    # Allows a broker where anybody reads what anybody sends.
    ("allow_public_broker", False, rules.flag),
)
SETTINGS = (
    # Number of this file's format: 1.
    ("v", _REQUIRED, _format),
    # Counts the changes; the birth says it. The node counts on when a Command changes something.
    ("version", 1, rules.whole(1, VERSION_MAX)),
    # Seconds from one Reading to the next. The Command set_interval changes it.
    ("interval_s", 10, rules.whole(*INTERVAL_S)),
    # Brokers to turn to where `broker` cannot be had, in this order: HOST, or HOST:PORT where the
    # port is another than `port`. They have the same authority, and know the node as `broker` does.
    ("more_brokers", None, more_brokers),
    # Seconds without a word after which the broker takes the node for lost; the node pings before.
    ("keepalive_s", 60, rules.whole(10, 3600)),
    # Seconds that the whole TLS handshake may take.
    ("handshake_s", 60, rules.whole(5, 300)),
    # Messages that may be on their way at once, not acknowledged yet.
    ("window", 8, rules.whole(1, 32)),
    # Whether the broker is to forget the session at each connect, with the Commands it has queued.
    ("clean_session", False, rules.flag),
    # QoS of Readings. 0: what is sent while a connection breaks is lost.
    ("telemetry_qos", 1, rules.whole(0, 1)),
    # QoS with which Commands are subscribed to.
    ("command_qos", 1, rules.whole(1, 2)),
    # The highest QoS that the broker can do: some close the connection of who asks for more.
    ("max_qos", 2, rules.whole(0, 2)),
    # Whether the broker keeps retained Messages: some close the connection of who sends one.
    ("retain", True, rules.flag),
    # Readings wait until the birth has come back once: a broker whose rules deny what the node
    # publishes acknowledges and drops it. Off: for one that never lets the node read its status.
    ("hold_unheard", True, rules.flag),
    # Readings that the store on flash holds, 24 bytes each: 20,000 are 480 KB, 55 hours at one per
    # 10 s. The oldest go first.
    ("outbox_readings", 20000, rules.whole(256, 60000)),
    # Seconds that a Reading waits for its acknowledgement before it is written to flash. 0 costs
    # wear for each Reading, and loses none in a reset that comes without warning.
    ("commit_after_s", 2, rules.whole(2, 60, "at once")),
    # Readings per second at most, after an outage.
    ("backlog_rate", 0, rules.whole(1, 10000, "no limit")),
    # Bytes of a batch of Readings, for a broker that takes no longer packets (and topic and header
    # are some 60 more). A birth and health have up to 512 themselves, and cannot be cut.
    ("payload_max", 2048, rules.whole(512, 2048)),
    # Seconds from one `health` to the next.
    ("health_s", 300, rules.whole(10, 86400, "off")),
    # Time servers, names or addresses. null: the firmware's own list. Needed where only a time
    # server of one's own can be reached.
    ("ntp_servers", None, rules.hosts),
    # Seconds that Readings wait for the time, from the first try on; then they go out without.
    ("no_time_after_s", 600, rules.whole(30, 86400)),
    # A retained Command comes at each connect. Off: for a broker that marks as retained what it has
    # queued, as amqtt by itself does; then ids and ttl are what protects.
    ("refuse_retained_commands", True, rules.flag),
)
# Those with another default than null.
_NULLABLE = ("ca", "cert", "key")
