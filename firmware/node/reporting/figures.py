"""The figures of health, put together: loaded when they are asked for, and let go of."""


def figures(board, parts, dropped, heap_min):
    """What `health` says: a dict; times in the unit of their name, heap in bytes.

    `idf`, `idf_largest`, `idf_min`: free bytes of the chip's own heap, see Board.idf_heap(). A
    chip's `heap` counts in `idf_largest`, by which MicroPython's own could still grow.
    `foreign`: Readings on flash that other code has left, and this one does not understand.
    parts: client, sampler, Live, Backlog, supervisor and recovery. dropped: Commands without a
    Response. heap_min: the least `heap` so far, or None.
    """
    client, sampler, live, backlog, supervisor, recovery = parts
    heap, clock = board.heap_free(), board.clock
    said = {
        "v": 1,
        "ts": clock.unix(),
        "up": clock.now() // 1000,
        "heap": heap,
        "heap_min": heap if heap_min is None else min(heap_min, heap),
        "rssi": board.network.rssi(),
        "downs": recovery.downs,
        "handshake_ms": client.handshake_took_ms,
        "ping_ms": client.ping_took_ms,
        "queued": live.queued + backlog.queued,
        "dropped": live.dropped + backlog.dropped,
        "foreign": backlog.foreign,
        "commits": backlog.commits,
        "flash_errors": live.errors + backlog.errors,
        "reads": sampler.reads,
        "read_errors": sampler.errors,
        "bugs": supervisor.bugs,
        "longest_step_ms": supervisor.longest_ms,
        "interval_s": sampler.interval_ms // 1000,
        "commands_dropped": dropped,
        "oversized": client.oversized,
        "refused_subscriptions": client.refused_subscriptions,
    }
    idf = board.idf_heap()
    if idf:
        said["idf"], said["idf_largest"], said["idf_min"] = idf
    return said
