# mypy: ignore-errors
"""Where the broker is, what a client is called, how a program that runs for ever ends, and how a
broker ends a connection.
"""

import os
import time

HOST = "127.0.0.1"
PORT = int(os.getenv("PORT"))
NAME = os.getenv("NAME")
_left = int(os.getenv("COUNT"))


def enough():
    """One more was heard: the last one ends the program."""
    global _left
    _left -= 1
    if not _left:
        raise SystemExit


def thrown_out(client):
    """Let another one take the client's name, for a while."""
    from umqtt import simple

    other = simple.MQTTClient(client.client_id, HOST, PORT, keepalive=60)
    other.connect()
    time.sleep_ms(300)
    other.disconnect()
