# mypy: ignore-errors
"""A client that subscribes again where the session is gone, and loses its connection once."""

from umqtt import robust
from where import HOST, NAME, PORT, thrown_out


class Client(robust.MQTTClient):
    """With a list of its topics."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.topics = []

    def connect(self, clean_session=True):
        """And subscribe, if need be."""
        if super().connect(clean_session):
            return True
        for topic in self.topics:
            self.subscribe(topic)
        return False

    def subscribe(self, topic):
        """Remember it."""
        print("subscribing to", topic)
        super().subscribe(topic)
        if topic not in self.topics:
            self.topics.append(topic)


def heard(topic, msg):
    """Show it."""
    print((topic, msg))


client = Client(NAME, HOST, PORT, keepalive=1)
client.DEBUG = False
client.DELAY = 0
client.set_callback(heard)
print(client.connect())
client.subscribe(b"test/topic/a")
client.publish(b"test/topic/a", b"message 1")
client.wait_msg()
thrown_out(client)
client.check_msg()
client.publish(b"test/topic/a", b"message 3")
client.wait_msg()
client.disconnect()
