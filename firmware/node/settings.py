"""What the node does with its config: takes it from flash, and puts it back with another interval.

The checker (config.py) is needed at boot and for a change, and takes 13 KB of heap: it is imported
on use and let go of at once. It will not check anything itself.
"""

from node.loan import let_go


def load(path):
    """The Config in the file at `path`. Raises ConfigError."""
    with _Checker() as config:
        return config.load(path)


def keeper(path, settings, replace):
    """`keep(interval_s)`: writes `settings` with another interval by `replace`, which may raise
    OSError.
    """

    def keep(interval_s):
        with _Checker() as config:
            text = config.dump(settings, interval_s)
        replace(path, text.encode())

    return keep


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
    }


class _Checker:
    def __enter__(self):
        from node import config

        return config

    def __exit__(self, *_):
        let_go("node.config", "node.strictjson")
