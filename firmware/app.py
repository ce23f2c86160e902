"""The application, put together: sensor -> sampler -> Outbox -> Link -> broker, Commands back.

The only file that knows every part. When all is built it makes way for it: see device/guard.py.
"""

RAM_READINGS = 64  # until they are sent or on flash, whichever comes first
WATCHDOG_MS = 120_000  # longer than DNS can take, a handshake step and a flash commit together


def build(rtc_state, crashes):
    """Make the node. Returns the function that runs it; without a config to run by: None."""
    import board
    from device import boots, flash, identity
    from node.config import settings
    from node.shared import errors, pair_file, topics
    from node.shared.log import logger

    clock, net, unix, now = board.clock, board.network, board.clock.unix, board.clock.now
    log, files = logger(now), (flash.read, flash.replace)
    try:
        own, cfg = settings.load(boots.found, files[1], boots.settings(), bool(net.cause), log)
        tls = identity.tls(own.ca, own.cert, own.key)
    except errors.ConfigError as error:
        log("config", "refused field=%s rule=%s" % (error.field, error.text))
        return rtc_state.put("why", "config:" + error.field) or board.halt()
    from backoff import Backoff  # only now: what has checked the config is 12 KB
    from node.readings.outbox import Messages
    from node.reporting.alerts import Alerts
    from node.reporting.facts import facts, words
    from node.reporting.health import Health
    from node.reporting.status import Status
    from node.session import causes
    from node.session.link import Link
    from node.session.router import Router
    from node.system.node_api import NodeApi
    from node.system.recovery import Recovery
    from node.system.supervisor import Supervisor
    from umqtt_tls import MQTTClient

    def sampling():
        """The sampler, Live and Backlog; or what stands in their place."""
        if crashes.safe:
            from node.readings.safe import resting

            return resting(cfg.interval_s)
        from device.generations import opened
        from node.readings import gone, layouts, outbox, sampler, telemetry
        from ring import Ring

        sensors = gone.cleared(board.sensors(), status.raised, alerts.change)
        heap, fields = board.idf_heap(), [field for each in sensors for field in each.fields]
        encode = telemetry.Telemetry(base, cfg.telemetry_qos, boot, clock, layouts.layout(fields))
        ring, stored = Ring(encode.size, RAM_READINGS), opened(encode, cfg, rtc_state, heap)
        store, live = stored.stores[-1], outbox.Live(ring, stored, encode, cfg.commit_after_s)
        boots.made(encode, store, store.log, ring, client._transport, client._reader, *sensors)
        says = (lambda one: live.put(one) or node_api.reading(one), alerts.change, log, encode)
        return sampler.Sampler(sensors, boot, cfg.interval_s * 1000, clock, says), live, stored

    clock.start(cfg.ntp_servers, (own.ca, own.cert), log, cfg.no_time_after_s)
    backoff = Backoff(board.random, floors_ms=causes.FLOORS_MS, attempts=rtc_state.get("attempts"))
    recovery = Recovery(net, rtc_state, crashes, backoff, log)
    boot, told = boots.next_boot(unix()), facts(rtc_state, crashes, board.reset_cause())
    log("node", "boot=%d" % boot, *words(told, board.NAME, own.device_id))
    watchdog = board.watchdog(WATCHDOG_MS)
    base = topics.base(own.org, own.site, own.zone, own.device_type, own.device_id)
    net.join(own.wifi_ssid, own.wifi_password)
    kept = [pair_file.PairFile(n, *files) for n in ("own/responses", "own/alerts", "own/raised")]
    responses, warnings = [Messages(n, k, cfg.commit_after_s, now) for n, k in zip((24, 8), kept)]
    status, supervisor = Status(base, boot, now, told, cfg), Supervisor(clock, log, recovery)
    alerts = Alerts(base, warnings, unix, status, kept[2])
    client = MQTTClient(ssl=tls, **settings.client(own, cfg))
    sampler, live, backlog = sampling()
    parts = client, sampler, live, backlog, supervisor, recovery
    health, cfg.users = Health(base, cfg.health_s, board, parts), (sampler.change, status.again)
    link = Link(client, board, (status, responses, warnings, live, backlog, health), recovery, log)
    if cfg.more_brokers:
        from node.session.several import Several

        recovery.backoff = Several(link, backoff, cfg.more_brokers, told, log)
    stale, link.hold, link.alarm = cfg.refuse_retained_commands, cfg.hold_unheard, alerts.change
    node_api = NodeApi(clock, sampler, board.led, (cfg,) + files, (health.snapshot, crashes.last))
    router = Router(base, node_api, responses, flash, (unix, log, supervisor.bug, stale))
    health.dropped, client.on_oversized = router.dropped, router.on_message
    clock.alarm, clock.broker = alerts.change, tls and (client, own.org + "/" + topics.TIME)
    hear, backlog.client = {status.topic: status, base + "/" + topics.BACKLOG: backlog}, client
    client.on_message = lambda t, *m: hear.get(t, router).on_message(t, *m)
    client.subscribe(status.topic, 1)
    client.subscribe(router.topic, cfg.command_qos)
    asked, watched = (node_api, crashes, recovery), (("sampler", sampler), ("link", link))
    beside, sleep = (clock, net, sampler, router) + asked, board.interruptible(client.wait)
    turned = (link, sleep, beside, watched, watchdog, asked)
    boots.made(status, warnings, alerts, health, router, rtc_state, link, *parts + beside)

    def run():
        """Run until asked to leave. Returns which reset that asks for: hard (bool), or None."""
        reason = supervisor.run(*turned)
        log("node", "stopped reason=%s longest_step_ms=%d" % (reason, supervisor.longest_ms))
        return recovery.leave(reason, supervisor.last_bug)

    return run
