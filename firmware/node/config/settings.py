"""What the node does with its config: takes it from flash, and puts it back with another interval.

The checker (config.py) is needed at boot, and takes 13 KB of heap: it is imported on use and let go
of at once; so is this module, when the node is joined.
"""

import json

from node.shared.unimport import unimport


def load(path, wifi):
    """The Config in the file at `path`; `wifi` is whether the Board has to be told its network.
    Raises ConfigError, and OSError of flash.
    """
    from node.config import config

    try:
        return config.load(path, wifi)
    finally:
        unimport("node.config.config", "node.shared.strictjson", "node.shared.topic_rules")


def keep(interval_s, path, read, replace):
    """Put another interval into the file at `path`. `read` and `replace` may raise OSError. Neither
    way it lies in the heap in a row.
    """
    values = read(path, json.load)
    values["interval_s"] = interval_s
    replace(path, *lines(values))


def encoded(values):
    """The values of a config (dict) as the JSON of its file (bytes)."""
    return b"".join(lines(values))


def lines(values):
    """The same, a list of bytes."""
    found = []
    for name in sorted(values):
        line = '%s\n"%s": %s' % ("," if found else "{", name, json.dumps(values[name]))
        found.append(line.encode())
    found.append(b"\n}\n")
    return found


def client(settings):
    """What the config says of the client: the keyword arguments (dict) of umqtt_tls.MQTTClient, but
    for TLS.
    """
    return {
        "client_id": settings.device_id,
        "server": settings.broker,
        "port": settings.port,
        "user": settings.username,
        "password": settings.password,
        "keepalive": settings.keepalive_s,
        "ssl_params": {"server_hostname": settings.server_hostname or settings.broker},
        "window": settings.window,
        "handshake_ms": settings.handshake_s * 1000,
        "clean_session": settings.clean_session,
        "max_qos": settings.max_qos,
        "retains": settings.retain,
    }
