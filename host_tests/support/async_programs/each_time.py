# mypy: ignore-errors
"""What is done at each connection, and at the end of each: a task with `up` and `down`.

Once as the docs say it, and once as programs for mqtt_as have it, which clear the event.
"""

import asyncio

from surroundings import HOST, PORT, Client

said = []


async def news(client, name):
    """As the docs say it."""
    while True:
        await client.up.wait()
        await client.publish(f"{name}/status", "online", 1)
        said.append("up")
        await client.down.wait()
        said.append("down")


async def news_up(client, name):
    """As in mqtt_as."""
    while True:
        await client.up.wait()
        client.up.clear()
        await client.publish(f"{name}/status", "online", 1)
        said.append("up")


async def news_down(client, name):
    """As in mqtt_as."""
    while True:
        await client.down.wait()
        client.down.clear()
        said.append("down")


async def outage(name, *tasks):
    """Connect, have another one of that name throw it out, and come back."""
    said.clear()
    async with Client(name, HOST, PORT) as client:
        running = [asyncio.create_task(task(client, name)) for task in tasks]
        while "up" not in said:
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)  # who would spin has said more by now
        before = said.count("down")
        async with Client(name, HOST, PORT) as other:
            await other.up.wait()
            while said.count("down") == before:
                await asyncio.sleep(0.05)
        while said.count("up") == 1:
            await asyncio.sleep(0.05)
        for task in running:
            task.cancel()
    print(name, *said)


async def main():
    """Both ways."""
    await outage("each", news)
    await outage("cleared", news_up, news_down)


asyncio.run(main())
