"""Every parser that reads from the network or from flash, ready to be fed. Runs under both Pythons.

A target has `samples` (good inputs), `tokens` (what mutations put in), `size_max` (of an input: a
little over what the parser takes), and `feed(data)`, which raises nothing but what is a defect: the
parser's own errors end there, and what it gives back is checked.

`heap` and `per_byte` are the bound: an input of n bytes costs at most heap + n * per_byte bytes of
the 32-bit interpreter's heap, garbage included. `kept` is what may stay behind after all inputs.
`dear`: of the mutations it gets one in so many.
"""

from support.fuzz.broker import Client, Packets
from support.fuzz.cable import FirstBoot, Improv
from support.fuzz.files import Boots, Config, Memory, Records
from support.fuzz.frames import Frames, Time
from support.fuzz.payloads import Command, Json, Status

TARGETS: dict = {
    "packets": Packets,
    "improv": Improv,
    "first-boot": FirstBoot,
    "client": Client,
    "command": Command,
    "status": Status,
    "config": Config,
    "json": Json,
    "boots": Boots,
    "memory": Memory,
    "frames": Frames,
    "time": Time,
    "records": Records,
}
