"""The whole line, joined: sensor -> sampler -> Outbox -> Link -> broker, and Commands the other
way.

The only file that knows every part: nobody else makes one, and no part knows its neighbours.
"""

import board
from backoff import Backoff
from device import flash, identity
from node import reading, settings, topics
from node.alerts import Alerts
from node.backlog import Backlog
from node.commands.memory import Memory
from node.controls import Controls
from node.errors import ConfigError
from node.health import Health
from node.link import FLOORS_MS, Link
from node.log import logger
from node.outbox import Live, Messages
from node.pairs import Pairs
from node.router import Router
from node.sampler import Sampler
from node.status import Status
from node.supervisor import Supervisor
from node.telemetry import Telemetry
from node.version import VERSION
from recordlog import RecordLog
from ring import Ring
from umqtt_tls import MQTTClient

CONFIG = "config.json"
RAM_READINGS = 64  # until they are sent or on flash, whichever comes first
WATCHDOG_MS = 120_000  # longer than DNS can take, a handshake step and a flash commit together


def main():
    """Run until asked to leave; returns after a shutdown, resets after anything else."""
    clock, unix = board.clock, board.clock.unix
    log = logger(clock.now)
    try:
        cfg = settings.load(CONFIG)
        tls = identity.tls(cfg.ca, cfg.cert, cfg.key)
    except ConfigError as error:
        log("config", "refused field=%s rule=%s" % (error.field, error.text))
        return board.halt()
    clock.start(cfg.ntp_servers, (cfg.ca, cfg.cert), log)
    boot, cause = flash.next_boot("boot.bin", unix()), board.reset_cause()
    start = (boot, VERSION, cause, board.NAME, cfg.device_id)
    log("node", "boot=%d fw=%s reset=%s board=%s device=%s" % start)
    base = topics.base(cfg.org, cfg.site, cfg.zone, cfg.device_type, cfg.device_id)
    board.network.join(cfg.wifi_ssid, cfg.wifi_password)

    telemetry = Telemetry(base, cfg.telemetry_qos, boot, unix)
    records = RecordLog("readings", reading.SIZE, cfg.outbox_readings)
    backlog = Backlog(records, telemetry.batch_at, cfg.backlog_rate)
    ring = Ring(reading.SIZE, RAM_READINGS)
    live = Live(ring, backlog, telemetry.message_at, cfg.commit_after_s)
    kept = [Pairs(name, flash.read, flash.replace, 8192) for name in ("responses", "alerts")]
    responses, warnings = [Messages(8, each, cfg.commit_after_s) for each in kept]
    downs = {}
    status = Status(base, boot, VERSION, cause, clock.now)
    alerts = Alerts(base, warnings, unix, log)
    client = MQTTClient(ssl=tls, **settings.client(cfg))

    def on_reading(taken):
        log("sampler", "reading", reading.words(taken))
        for listener in (live.put, alerts.read, controls.reading):
            listener(taken)

    supervisor, interval_ms = Supervisor(clock, log), cfg.interval_s * 1000
    sampler = Sampler(board.sensor().read, boot, interval_ms, on_reading, alerts.failed, unix)
    health = Health(base, cfg.health_s, board, client, sampler, live, backlog, supervisor, downs)
    sources = (status, responses, warnings, live, backlog, health)
    backoff = Backoff(board.random, floors_ms=FLOORS_MS)
    link = Link(client, board.network, sources, backoff, log, clock.sync, downs, alerts.change)
    keep = settings.keeper(CONFIG, cfg, flash.replace)
    controls = Controls(clock, sampler, board.led, health.snapshot, keep)
    memory = Memory("commands.bin", flash.read, flash.replace)
    stale = cfg.refuse_retained_commands
    router = Router(base, controls, responses, memory, unix, log, supervisor.bug, stale)
    client.on_message = lambda t, *m: (status if t == status.topic else router).on_message(t, *m)
    client.subscribe(status.topic, 1)
    client.subscribe(router.topic, cfg.command_qos)
    watchdog = board.watchdog(WATCHDOG_MS)
    sleep, beside = board.interruptible(link.wait), (sampler, router, controls, clock)
    reason = supervisor.run(link, sleep, beside, watchdog, controls.asked_to_leave)
    log("node", "stopped reason=%s longest_step_ms=%d" % (reason, supervisor.longest_ms))
    if reason != "shutdown":
        board.reset()


main()
