"""On a chip no piece of the heap is long once the node is up, and what asks for one takes it from
TLS and Wi-Fi: so nothing asks for more than 1 KB in a row.

The 32-bit interpreter's heap is cut into islands (bench_islands.py) first.
"""

from __future__ import annotations

import pytest
from limpet.node_host.debian import available
from limpet.node_host.umqtt import umqtt_dir
from limpet_bench.tree import SCRIPTS
from support.micropython import upy

pytestmark = pytest.mark.skipif(not available("i386"), reason="no 32-bit interpreter here")


def in_islands(script: str) -> str:
    """Run a script that calls `cut_up` when it has what it needs; return what it printed."""
    script = "import support.micropython.names\nfrom bench_islands import cut_up\n" + script
    return upy.run(script, arch="i386", heap="256k", path=[umqtt_dir(), SCRIPTS])


def test_pairs_go_to_flash_and_back_in_pieces() -> None:
    """Files of 4 and 6 KB, as long as those of Commands and Responses become."""
    said = in_islands("""
from device import flash
from node.commands.response_cache import ENTRIES, RESPONSE_MAX, ResponseCache
from node.shared.pair_file import PairFile
saved = [("limpet/home/desk/climate/node-1/commands/response", bytes(1000)) for _ in range(6)]
pairs = PairFile("responses", flash.read, flash.replace)
ids = [chr(65 + n) * 64 for n in range(ENTRIES)]
responses = [id.encode() * 8 for id in ids]
held = cut_up()
pairs.save(saved)
loaded = pairs.load()
print(loaded == saved, end=" ")
memory = ResponseCache("commands", flash.read, flash.replace)
for id, response in zip(ids, responses):
    memory.begin(id)
    memory.finish(id, response)
again = ResponseCache("commands", flash.read, flash.replace)
print([again.response(id) for id in ids] == responses, len(response) == RESPONSE_MAX)
""")
    assert said == "True True True\n"


def test_settings_that_are_cut_short_are_not_written_again() -> None:
    """Whatever is left of them: a half would be all that there is from then on."""
    said = in_islands("""
from device import flash
from node.config import written
from node.config.settings import values as made
whole = b'{"interval_s":10,"ntp_servers":["a","b"],"version":1,"window":3}'
for cut in range(len(whole)):
    flash.replace("settings.json", whole[:cut])
    own = made({"version": 1, "interval_s": 10}, "settings.json")
    try:
        written.change(own, "interval_s", 30, flash.read, flash.replace)
        print("taken", whole[:cut])
    except OSError as error:
        if (error.errno, own.version, own.interval_s) != (5, 1, 10):
            print("changed", whole[:cut])
    if flash.read("settings.json") != whole[:cut]:
        print("written", whole[:cut])
print("done")
""")
    assert said == "done\n"


def test_interval_is_kept_in_pieces() -> None:
    """Settings of 2 KB, which a Command changes."""
    said = in_islands("""
import json
from device import flash
from node.config import written
from node.config.settings import values as made
values = {"interval_s": 10, "version": 1, "ntp_servers": ["n" * 253] * 3, "more": ["m" * 250] * 3}
flash.replace("settings.json", written.encoded(values))
own = made({"version": 1}, "settings.json")
held = cut_up()
written.change(own, "interval_s", 30, flash.read, flash.replace)
del held
values["interval_s"], values["version"] = 30, 2
print(flash.read("settings.json") == written.encoded(values))
""")
    assert said == "True\n"


def test_longest_crash_is_asked_for_in_pieces() -> None:
    """From the heap's own exception to the Response, with the longest lines that there are."""
    said = in_islands("""
from device import flash
from node.commands.get_crash import get_crash
from node.commands.response import executed
from node.system.crashes import Crashes
class Rtc:
    def get(self, name, default=0):
        return default
crashes = Crashes("crash.bin", flash.read, flash.replace, Rtc())
space = {}
exec("def %s():\\n    raise NameError('x' * 400)" % ("deep" * 25), space)
calls = "deep" * 25
for n in range(20):
    exec("def %s%d():\\n    %s()" % ("deep" * 25, n, calls), space)
    calls = "deep" * 25 + str(n)
held = cut_up()
try:
    space[calls]()
except NameError as error:
    print(crashes.crashed(error), end=" ")
class Node:
    crash = crashes.last
response = executed("i" * 64, get_crash({}, Node), 1790000000)
print(700 < len(response) <= 1024, response.count(b"File"))
""")
    assert said == "True True 4\n"


@pytest.mark.parametrize("count", [1, 2, 9])
def test_batch_is_read_and_written_in_pieces(count: int) -> None:
    """As many Readings as a chip has in one, of 1 to 9 fields with the longest numbers."""
    said = in_islands(f"""
from node.readings import batches, layouts, sending, telemetry
from node.shared.reading import Reading
from recordlog import RecordLog
from support.parts.backlogs import backlog
layout = layouts.of([("temperature_%d" % n, 2, "hi"[n // 3 % 2]) for n in range({count})])
encode = telemetry.Telemetry("limpet/home/desk/climate/node-1", 1, 7, None, layout)
log = RecordLog("readings", encode.size, 4000)
record = bytearray(encode.size)
for seq in range(100):
    least = [null + 1 for _, _, null in layout[0]]
    taken = Reading(7, 100000 + seq, 1780000000 + 99900 * seq + seq % 2, seq, least)
    encode.pack_into(record, 0, taken)
    log.append(record)
stored = backlog(log, encode, batch_max=layouts.room(encode.fields))
held = cut_up()
lengths = []
while stored.due is not None:
    stored.run(0)
    while stored.ready:
        packet = bytearray(b"0" * 64)
        key = stored.peek(0)
        stored.write(packet)
        lengths.append(len(packet))
        stored.sent(key)
        stored.done(key)
print(max(lengths), len(log))
""")
    longest, left = map(int, said.split())
    assert 900 < longest <= 1024
    assert left == 0


def test_longest_publish_is_taken_in_pieces() -> None:
    """As long as the node's buffer, whatever the broker makes of that: a payload, a topic, or a
    packet that goes on behind it. Nothing is without heap, so nothing comes as None.
    """
    said = in_islands("""
from node.config import settings
from support.fuzz.memory_bound import Packets, publish
from umqtt_tls import MQTTClient
words = "org site zone device_type device_id broker username password server_hostname"
given = {name: "x" * 32 for name in words.split()}
numbers = "port keepalive_s window handshake_s clean_session max_qos retain"
given.update({name: 1 for name in numbers.split()})
given = settings.values(given)
client = MQTTClient(**settings.client(given, given))
size = len(client._reader.buffer)
commands = b"/".join([b"x" * 32] * 5 + [b"commands"])
found = []
client._transport = wire = Packets()
def told(topic, payload, *_):
    found.append((len(topic), None if payload is None else len(payload)))
client.on_message = client.on_oversized = told
wire.packets = [b"\\x20\\x02\\x00\\x00"]
client.start(0)
for _ in range(10):
    client.step(0)
wire.packets = [publish(commands, bytes(n), 1, 1) for n in (1024, 1025, 1026, 3000)]
topics = (1, 173, 1025, 1026, size - 5)
wire.packets += [publish(b"t" * n, bytes(size - 5 - n), 0, 0) for n in topics]
held = wire.packets[:], cut_up()  # what is freed would be a long piece
for _ in range(99):
    client.step(0)
print(size, client.state, client.oversized, found)
""")
    own = "(173, 1024), (173, 1025), (173, 1025), (173, 1025)"
    others = "(1, 1025), (173, 1025), (1025, 177), (0, 176), (0, 0)"
    assert said == f"1207 up 6 [{own}, {others}]\n"


def test_longest_commands_are_answered_in_pieces() -> None:
    """Of 1 KB: a long text, as many members or lists as may be, and no end."""
    said = in_islands("""
from support.parts.rig import Rig
front = b'{"id":"%d","action":"ping","params":{'
text = b'"x":"%s"' % (b"x" * 900)
members = b",".join([b'"%02d":"%s"' % (n, b"x" * 24) for n in range(27)])
lists = b'"x":[%s]' % b",".join([b"[[[[]]]]"] * 7)
commands = [front % n + each for n, each in enumerate((text, members, lists, text[:-1]))]
commands = [each + b" " * (1022 - len(each)) + b"}}" for each in commands]
rig = Rig()
rig.code(commands[0])  # imports what answers
held = cut_up()
print([len(each) for each in commands], [rig.code(each) for each in commands])
""")
    codes = ["bad-params", "bad-params", "too-complex", "not-json"]
    assert said == f"{[1024] * 4} {codes}\n"
