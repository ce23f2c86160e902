# mypy: ignore-errors
"""A client that says whether it is there: a last will, and a retained word at each connect."""

from umqtt import robust
from where import HOST, NAME, PORT, enough


class Client(robust.MQTTClient):
    """With a will."""

    def connect(self, clean_session=True):
        """Say it each time."""
        self.set_last_will(b"tele/test/LWT", b"Offline", retain=True)
        try:
            return super().connect(clean_session)
        finally:
            self.publish(b"tele/test/LWT", b"Online", retain=True)


def heard(topic, msg):
    """Show it."""
    print((topic, msg))
    enough()


client = Client(NAME, HOST, PORT, keepalive=5)
client.DEBUG = True
client.set_callback(heard)
print(client.connect())
client.subscribe(b"tele/test/LWT")
client.wait_msg()
