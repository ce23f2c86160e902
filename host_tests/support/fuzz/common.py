"""What targets share: tokens of the formats, and who they are."""

import sys

import support.micropython.names  # noqa: F401 - before what is written for MicroPython

CPYTHON = sys.implementation.name == "cpython"
BASE = "limpet/home/desk/climate/node-1"
NOW_S = 1780000000
JSON_TOKENS = (
    b'{ } [ ] , : " "" \\ \\u0000 \\ud800 null true - 0 1e999 0.5 \x00 \xff \xc3 "id":"x" {"a": '
    b'[[[[[[[[[ "id": "v":1, "ts":1780000000 "ttl":0 \xf0\x9f\x8c\xa1 999999999999999999999999'
).split(b" ")
MQTT_TOKENS = (
    b"\x20\x02\x00\x00 \x20\x02\x00\x05 \x30 \x32 \x36 \x40\x02 \x40\x02\x00\x03 \x62\x02 \xd0\x00 "
    b"\x80 \xff \xff\xff\xff\x7f \x00 \x00\x01 \xff\xff \x90\x03 \x90\x03\x00\x01 \x62\x02\x00\x01 "
    b"\x30\x03\x00\x01a \x32\x05\x00\x01a\x00\x01 \x34\x05\x00\x01a\x00\x07 xxxxxxxxxxxxxxxxxxxxx"
).split(b" ")
