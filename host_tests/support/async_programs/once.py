# mypy: ignore-errors
"""Wake, say one thing within 20 s, listen for a moment, and sleep again.

As mqtt_as's lptest_min.py.
"""

import asyncio

from surroundings import HOST, PORT, Client


async def spoken():
    """What is done between two sleeps."""
    async with Client("once", HOST, PORT, will=("shed", "Goodbye", 0, False)) as client:
        await client.subscribe("foo_topic", qos=1)
        await client.publish("foo_topic", "light 4711", qos=1)
        async for topic, msg, _ in client:
            print(topic, str(msg, "utf-8"))
            break


async def main():
    """Whether it went well."""
    try:
        await asyncio.wait_for(spoken(), 20)
    except (asyncio.TimeoutError, OSError):  # noqa: UP041 - MicroPython's is another one
        return False
    return True


print(asyncio.run(main()))
