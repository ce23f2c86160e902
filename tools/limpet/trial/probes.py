"""What is run on the board over the wire to measure it: texts for its raw REPL, none of them code
that a node has on flash.

Whoever listens gives up after 10 s of silence, so what takes longer prints an empty line each
second. A watchdog that runs already cannot be stopped, so each begins by giving it two minutes. It
leaves no files behind, and does not change the config.
"""

# What LOOK says begins with one of these.
MARK = "limpet-turns"
STEPS = "limpet-steps"
DESCRIBED_MS = 5000  # so often, once the look may be over
WATCHDOG_MS = 120_000

ABOUT = """
import sys
print((sys.implementation._machine, sys.version))
"""

MEMORY = """
import gc
gc.collect()
try:
    import esp32
    regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    idf = (sum(each[1] for each in regions), sum(each[3] for each in regions))
except (ImportError, AttributeError):
    idf = (None, None)
print((gc.mem_free(),) + idf)
"""

HANG = """
import machine
machine.WDT(timeout=%d)
while True:
    pass
"""

# What follows imports what lies on a Board: without the groups that the sources have, and first of
# all device.guard, which has the modules of the slot found.

# Bytes of a Reading with two values, as one sensor gives them.
RECORD = 20

# As the node's Outbox does it, in a folder of its own: one Reading, one synced write.
COMMIT = f"""
import machine, os, time
from device import guard
from recordlog import RecordLog
machine.WDT(timeout={WATCHDOG_MS})
folder, took = "trial-log", []
def clean():
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        os.remove(folder + "/" + name)
    os.rmdir(folder)
clean()
try:
    log, record = RecordLog(folder, {RECORD}, 1000), bytearray({RECORD})
    for _ in range(%d):
        since = time.ticks_us()
        log.append(record, 1)
        took.append(time.ticks_diff(time.ticks_us(), since))
finally:
    clean()
print(took)
"""

# Where the device may write, and what nobody takes for a Message of the node: it is no JSON.
CLIENT = f"""
import machine, time
from device import guard
import board
import boots, flash, identity, settings, topics
from umqtt_tls import MQTTClient
dog = machine.WDT(timeout={WATCHDOG_MS})
start = time.ticks_ms()
said = acked = 0
causes = []
def now():
    global said
    ms = time.ticks_diff(time.ticks_ms(), start)
    if ms - said > 1000:
        said = ms
        dog.feed()
        print()
    return ms
def on_ack(packet_id):
    global acked
    acked += 1
own, cfg = settings.load(
    flash.read, flash.replace, boots.settings(), board.network.cause is not None, print
)
client = MQTTClient(ssl=identity.tls(own.ca, own.cert, own.key), **settings.client(own, cfg))
client.clean_session = True
client.on_ack, client.on_down = on_ack, causes.append
topic = topics.base(own.org, own.site, own.zone, own.device_type, own.device_id) + "/health"
payload = b"." * 80
board.network.join(own.wifi_ssid, own.wifi_password)
began = False
while client.state != "up" and not causes:
    if now() > %(link_ms)d:
        causes.append(board.network.cause or "timeout")
    elif board.network.cause:
        if now() >= board.network.due:
            board.network.run(now())
        time.sleep_ms(50)
    else:
        if not began:
            client.start(now())
            began = True
        client.wait(min(client.step(now()), 500))
since = now()
while client.state == "up" and now() - since < %(for_ms)d:
    while client.room():
        client.send(topic, payload, 1)
    client.wait(min(client.step(now()), 500))
took, count, cause = now() - since, acked, (causes or [None])[0]
client.stop(now())
until = now() + 3000
while client.state != "down" and now() < until:
    client.wait(min(client.step(now()), 500))
print((count, took, client.handshake_took_ms, cause))
"""

# The node itself, as main.py starts it, with a stopwatch around its sleep and each step, and a
# count around its first sensor. Once a second it says: ms awake, ms in all, reads, bytes of a block
# of the heap. From `look_ms` on it says now and then the longest step of each part (us, by
# the part's class), collects, and has the heap described; saying is not counted as awake. Sums are
# in ms, because us are no small int any more after 18 minutes. It takes some heap itself.
LOOK = f"""
import gc, struct, time
from device import guard
import board, micropython
from supervisor import Supervisor
longest, real_run = {{}}, Supervisor.run
def timed(part):
    name, real = type(part).__name__, part.run
    def step(now):
        since = time.ticks_us()
        try:
            real(now)
        finally:
            took = time.ticks_diff(time.ticks_us(), since)
            if took > longest.get(name, 0):
                longest[name] = took
    part.run = step
def run(self, link, sleep, others, *more):
    for part in link.sources + others + (link,):
        timed(part)
    return real_run(self, link, sleep, others, *more)
Supervisor.run = run
taken, made_sensors, made_wait = 0, board.sensors, board.interruptible
def sensors():
    made = made_sensors()
    real = made[0].read
    def read():
        global taken
        found = real()
        taken += 1
        return found
    made[0].read = read
    return made
def interruptible(wait):
    sleep, woke = made_wait(wait), time.ticks_us()
    awake = whole = awake_us = whole_us = told = 0
    described = %(look_ms)d - {DESCRIBED_MS}
    def stopwatch(ms):
        nonlocal awake, whole, awake_us, whole_us, told, woke, described
        sleeps = time.ticks_us()
        passed = time.ticks_diff(sleeps, woke)
        awake_us += passed
        awake, awake_us = awake + awake_us // 1000, awake_us %% 1000
        try:
            heard = sleep(ms)
        finally:
            woke = time.ticks_us()
            whole_us += passed + time.ticks_diff(woke, sleeps)
            whole, whole_us = whole + whole_us // 1000, whole_us %% 1000
        if whole // 1000 != told:
            told = whole // 1000
            print("{MARK}", awake, whole, taken, 4 * struct.calcsize("P"))
            if whole - described >= {DESCRIBED_MS}:
                described = whole
                print("{STEPS}", longest)
                gc.collect()
                micropython.mem_info()
            woke = time.ticks_us()
        return heard
    return stopwatch
board.sensors, board.interruptible = sensors, interruptible
import main
"""
