"""What the node has of itself on flash, taken at boot: its identity, in two copies, and the
settings of its code.

The checker (config.py) takes 13 KB of heap: it is imported on use and let go of at once; so is this
module, when the node is joined. What changes the settings later is in written.py.
"""

from binascii import crc32

from node.shared.errors import ConfigError
from node.shared.unimport import unimport

IDENTITY = "identity.json"
SPARE = "identity.bak"

_CRC = b',"crc32":"'
_CRC_AT = -len(_CRC) - 10  # 8 digits, a quote and a bracket


class Config:
    """Named values as attributes: an identity's; or the settings, one object for the whole node.

    Of settings: `path` is their file, `version` counts the changes, and `users` are called with
    them after each.
    """

    # No method: one would keep this module in the heap as long as the object is there.


def values(found, path=None, users=()):
    """Values of a dict."""
    made = Config()
    made.path = path
    made.users = users
    for name in found:
        setattr(made, name, found[name])
    return made


def load(read, replace, path, wifi, log):
    """(identity, settings), two Values; `more_brokers` as (host, port) each. `path` is the
    settings' file, `wifi` whether the Board has to be told its network; `read` and `replace` a
    file. Raises ConfigError, and OSError of flash.
    """
    from node.config import config

    try:
        own = config.identity(mended(read, replace, log), wifi)
        text = read(path)
        if text is None:
            raise ConfigError("settings", "settings.json cannot be read")
        found = config.settings(text, own)
        if found["more_brokers"]:
            from node.config import more_brokers

            found["more_brokers"] = more_brokers.split(found["more_brokers"], own["port"])
        return values(own), values(found, path)
    finally:
        unimport("node.config.config", "node.config.rules", "node.shared.strictjson")
        unimport("node.config.more_brokers", "node.shared.topic_rules")


def unseal(text):
    """A JSON object (bytes) without the CRC-32 that stands last in it; itself, if none does; None
    if it is wrong.
    """
    if not text[_CRC_AT:].startswith(_CRC):
        return text
    body = text[:_CRC_AT]
    return body + b"}" if text[-10:] == b'%08x"}' % crc32(body) else None


def mended(read, replace, log):
    """The text of the identity (bytes), without its CRC-32. A copy that is missing or damaged is
    mended from the other one.

    Each change writes identity.json first, all of it or nothing, and then the other copy. So where
    both are whole and differ, identity.json is the newer one: the power went between the two.
    Whoever makes a change says that it is made when both are there, and a boot makes them the same
    before it connects: what was replaced never comes back.

    Without a second copy it may be one without CRC-32, edited by hand on a laptop, and stays alone.
    Beside a second copy such a one is taken for damaged. Raises ConfigError, and OSError of flash.
    """
    texts = read(IDENTITY), read(SPARE)
    bodies = [text and unseal(text) for text in texts]
    if texts[1] is None:
        if texts[0] is None:
            raise ConfigError("identity", IDENTITY + " cannot be read")
        if bodies[0] is texts[0]:
            return texts[0]
    for good, bad, name in ((0, 1, SPARE), (1, 0, IDENTITY)):
        if bodies[good] and bodies[good] is not texts[good]:
            if texts[good] != texts[bad]:
                try:
                    replace(name, texts[good])
                    log("config", "mended " + name)
                except OSError:
                    pass  # the next boot tries again
            return bodies[good]
    raise ConfigError("identity", IDENTITY + " is damaged, and so is " + SPARE)


def client(own, settings):
    """What both say of the client: the keyword arguments (dict) of umqtt_tls.MQTTClient, but for
    TLS.
    """
    from node.shared.topics import COMMANDS

    names = own.org, own.site, own.zone, own.device_type, own.device_id, COMMANDS
    return {
        "client_id": own.device_id,
        "server": own.broker,
        "port": own.port,
        "user": own.username,
        "password": own.password,
        "keepalive": settings.keepalive_s,
        "ssl_params": {"server_hostname": own.server_hostname or own.broker},
        "window": settings.window,
        "handshake_ms": settings.handshake_s * 1000,
        "clean_session": settings.clean_session,
        "max_qos": settings.max_qos,
        "retains": settings.retain,
        # A Command of 1 KB, and a byte more by which a longer one is known; its topic; its header.
        "max_payload": 1025,
        "max_packet": 1025 + len("/".join(names)) + 9,
    }
