"""What a fleet needs of machines: memory, files, bytes, storage, and where to put what. Pure.

Each figure was measured; docs/capacity.md says where.
"""

from dataclasses import dataclass

from limpet.brokers import capacity
from limpet.brokers.capacity import Limits

# Of mosquitto's memory, with TLS's share, which its memory_limit does not count.
CONNECTION_BYTES = 44 * 1024
TLS_BYTES = CONNECTION_BYTES - capacity.CONNECTION_BYTES
# Of the broker's CPU, for a TLS handshake with certificates both ways, on a busy machine.
CONNECT_S = 0.003
# A live Reading of two fields on the wire, with its topic and TLS 1.2.
WIRE_BYTES = 155
# In limpet ingest's SQLite, with pages that are not full.
ROW_BYTES = 22
FIELD_BYTES = 10
# Readings in Messages of their own, a second. One `limpet ingest` was seen to take 16,177, on two
# cores with other work (docs/ingest.md).
INGEST_PER_S = 15_000
# A file of more than this is slow to copy and to mend.
SQLITE_BYTES = 100 * 10**9
# As many were connected to one mosquitto on two cores; beyond, nobody has looked.
CLUSTER_FROM = 10_000
YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class Sizing:
    """What a fleet needs. Bytes, and seconds; rates are per second.

    interval_s: from one Reading of a device to its next. fields: values in each. usual_bytes: the
    broker's memory with all connected; most_bytes: with its queues full, too. incoming: Messages of
    the devices; outgoing: to all services. storm_s: of one core, until all are connected again.
    """

    limits: Limits
    interval_s: float
    fields: int
    usual_bytes: int
    most_bytes: int
    incoming: float
    outgoing: float
    incoming_bytes: float
    outgoing_bytes: float
    storm_s: float
    year_bytes: float
    advice: tuple[str, ...]


def sizing(limits: Limits, interval_s: float, fields: int = 2) -> Sizing:
    """Return what the fleet of these limits needs. interval_s: above 0; fields: of a Reading.

    Events (statuses, alerts, Commands) are a few a day, and not counted.
    """
    rate = limits.devices / interval_s
    year = rate * YEAR_S * (ROW_BYTES + FIELD_BYTES * fields)
    retained = limits.devices * capacity.RETAINED_BYTES
    storm = limits.devices * CONNECT_S
    usual = capacity.PROGRAM_BYTES + limits.connections * CONNECTION_BYTES + retained
    most = limits.memory_bytes + (limits.connections + limits.silent) * TLS_BYTES
    return Sizing(
        limits=limits,
        interval_s=interval_s,
        fields=fields,
        usual_bytes=usual,
        most_bytes=most,
        incoming=rate,
        outgoing=rate * limits.services,
        incoming_bytes=rate * WIRE_BYTES,
        outgoing_bytes=rate * WIRE_BYTES * limits.services,
        storm_s=storm,
        year_bytes=year,
        advice=tuple(_advice(limits.devices, rate, year, most)),
    )


def _advice(devices: int, rate: float, year: float, most: int) -> list[str]:
    memory = 1
    while memory * 2**30 < 2 * most:  # the system has its share, and so has the store
        memory *= 2
    if devices >= CLUSTER_FROM:
        said = [
            f"A cluster of three brokers, each with {memory} GB and two cores: "
            f"beyond {CLUSTER_FROM:,} devices one mosquitto was not tried (docs/clusters.md)."
        ]
    else:
        said = [
            f"One mosquitto, on a machine with {memory} GB and two cores. A cluster from "
            f"{CLUSTER_FROM:,} devices on, or where no pause may be (docs/clusters.md)."
        ]
    if rate > INGEST_PER_S:
        workers = int(rate // INGEST_PER_S) + 1
        said.append(
            f"`limpet ingest --workers {workers}` into PostgreSQL, on a machine with a core each."
        )
    elif year > SQLITE_BYTES:
        said.append("`limpet ingest` into TimescaleDB on a machine of its own, with --keep.")
    else:
        said.append("`limpet ingest` into SQLite, on the same machine.")
    return said
