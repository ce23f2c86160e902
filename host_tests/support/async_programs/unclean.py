# mypy: ignore-errors
"""A session that the broker keeps: what was sent while nobody was there comes when one is back.

As mqtt_as's unclean.py, with a heartbeat beside it, but gone and back again by itself.
"""

import asyncio

from surroundings import HOST, PORT, Client

beats = 0


async def heartbeat():
    """The scheduler runs."""
    global beats
    while True:
        await asyncio.sleep(0.001)
        beats += 1


async def heard(client, count):
    """The next messages."""
    async for topic, msg, retained in client:
        print(topic, str(msg, "utf-8"), retained)
        count -= 1
        if not count:
            return


async def main():
    """Subscribe, go, have another one publish, and come back."""
    beating = asyncio.create_task(heartbeat())
    async with Client("unclean", HOST, PORT, clean_session=False) as client:
        await client.subscribe("foo_topic", 1)
        await client.publish("foo_topic", "first", qos=1)
        await heard(client, 1)
    async with Client("another", HOST, PORT, clean_session=True) as client:
        for n in range(3):
            await client.publish("foo_topic", f"while away {n}", qos=1)
    async with Client("unclean", HOST, PORT, clean_session=False) as client:
        await client.up.wait()
        if client.present:
            await heard(client, 3)
        print("kept", client.present)
    print("beats", beats > 0)
    beating.cancel()


asyncio.run(main())
