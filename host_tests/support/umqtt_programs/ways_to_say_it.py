# mypy: ignore-errors
"""Each call with each of its arguments, by place and by name."""

from umqtt.robust import MQTTClient
from where import HOST, NAME, PORT

client = MQTTClient(
    client_id=NAME,
    server=HOST,
    port=PORT,
    user=None,
    password=None,
    keepalive=60,
    ssl=False,
    ssl_params={},
)
client.set_callback(f=lambda topic, msg: print("heard", topic, msg))
client.set_last_will(topic="will", msg="bye", retain=True, qos=1)
print(client.lw_topic, client.lw_msg, client.lw_retain, client.lw_qos)
print(client.connect(True), client.disconnect(), client.connect(clean_session=False))
print(client.subscribe(topic=b"a", qos=1), client.subscribe(b"b"), client.subscribe("c", 0))
for retain, qos in ((False, 0), (True, 0), (False, 1), (True, 1)):
    print(client.publish(b"x", b"payload", retain, qos))
    print(client.publish(topic="x", msg="payload", retain=retain, qos=qos))
client.publish(b"a", b"1")
client.wait_msg()
client.publish(b"b", b"")
client.wait_msg()
client.publish(b"c", b"x" * 200)
client.wait_msg()
print(client.ping(), client.wait_msg(), client.check_msg())
try:
    client.publish(b"a", b"2", qos=2)
except AssertionError:
    print("no QoS 2")
client.disconnect()
