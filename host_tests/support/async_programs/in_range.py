# mypy: ignore-errors
"""Publish a number again and again, count the outages, and pulse a LED for each message.

As mqtt_as's range.py: a clean session, a will, events for up and down, an iterator of messages.
"""

import asyncio

from surroundings import HOST, PORT, Client, led

TOPIC = "shed"
wifi_led, blue_led = led("red"), led("blue")
outages = 0


async def pulse():
    """A message has come."""
    blue_led(True)
    await asyncio.sleep(0.05)
    blue_led(False)


async def messages(client):
    """Show them."""
    async for topic, msg, retained in client:
        print(topic, str(msg, "utf-8"), retained)
        await pulse()


async def down(client):
    """Count the outages."""
    global outages
    while True:
        await client.up.wait()
        await client.down.wait()
        wifi_led(False)
        outages += 1


async def up(client):
    """The broker is there (again). Subscriptions need no word."""
    while True:
        await client.up.wait()
        wifi_led(True)
        await client.down.wait()


async def main():
    """For ever; here, three times."""
    will = (TOPIC, "Goodbye cruel world!", 0, False)
    async with Client(
        "in-range", HOST, PORT, keepalive=120, will=will, clean_session=True
    ) as client:
        tasks = [asyncio.create_task(task(client)) for task in (up, down, messages)]
        await client.subscribe("foo_topic", 1)
        for n in range(3):
            await asyncio.sleep(0.1)
            await client.publish("foo_topic", f"{n} outages: {outages}", qos=1)
        await asyncio.sleep(0.5)
        for each in tasks:
            each.cancel()


asyncio.run(main())
