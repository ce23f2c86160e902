"""How large a broker has to be for a fleet: connections, and the limits that follow from them.

Pure: numbers in, numbers out. The limits go into what each broker's renderer writes; `limpet
capacity` says what they mean for a machine.
"""

from dataclasses import dataclass
from math import ceil

# The longest packet of a node is a batch of 2,048 bytes, its topic and its header; the rest is room
# for what services say of a device, such as an entry for Home Assistant.
PACKET_BYTES = 16_384
# A Message in a broker's queue: a Reading with its topic, and what the broker keeps beside it.
MESSAGE_BYTES = 512
# A consumer that is away this long misses nothing of devices that speak this often (the default
# interval_s); more is what a store and a node's own backlog are for.
AWAY_S = 3600
EVERY_S = 10
QUEUE_LEAST = 1_000
QUEUE_BYTES_MOST = 256 * 1024 * 1024
# Sockets that have not said yet who they are; a broker gives each about a minute.
SILENT = 2_048
# The broker's own files, sockets to its neighbours, logs.
OWN_FILES = 128
# Of a broker's memory: the program, and each connection without its TLS library's share.
PROGRAM_BYTES = 64 * 1024 * 1024
CONNECTION_BYTES = 32 * 1024
# Retained Messages of a device (its status, its config twice, its update), each with its topic.
RETAINED_BYTES = 4 * 4_096
SESSION_DAYS = 14


@dataclass(frozen=True)
class Limits:
    """What a broker is held to for one fleet.

    devices, services, monitors: what it was sized for. connections: clients at once. silent:
    sockets besides, before they have said who they are. open_files: what the process needs of the
    system. packet_bytes: one packet. inflight: unacknowledged Messages of a client at once.
    queued_messages, queued_bytes: of one client that is away, or slow. memory_bytes: of all the
    broker's own. session_days: how long the session of a client that stays away is kept.
    """

    devices: int
    services: int
    monitors: int
    connections: int
    silent: int
    open_files: int
    packet_bytes: int
    inflight: int
    queued_messages: int
    queued_bytes: int
    memory_bytes: int
    session_days: int


def connections(devices: int, services: int, monitors: int) -> int:
    """Return how many connections to have room for: a device that comes back is there twice until
    its old connection is given up, and a service when it is replaced.
    """
    return ceil(devices * 12 / 10) + services * 2 + monitors * 3


def limits(devices: int, services: int = 2, monitors: int = 1) -> Limits:
    """Return the limits for so many of each.

    services: programs that read or command all devices. monitors: those that watch the broker.
    Raises ValueError below zero.
    """
    if min(devices, services, monitors) < 0:
        raise ValueError("There are no negative numbers of devices, services or monitors.")
    clients = connections(devices, services, monitors)
    queued = max(QUEUE_LEAST, devices * AWAY_S // EVERY_S)
    queue_bytes = min(max(queued * MESSAGE_BYTES, PACKET_BYTES * 64), QUEUE_BYTES_MOST)
    memory = PROGRAM_BYTES + (clients + SILENT) * CONNECTION_BYTES
    memory += devices * RETAINED_BYTES + max(services, 1) * queue_bytes
    return Limits(
        devices=devices,
        services=services,
        monitors=monitors,
        connections=clients,
        silent=SILENT,
        open_files=clients + SILENT + OWN_FILES,
        packet_bytes=PACKET_BYTES,
        inflight=100,
        queued_messages=queued,
        queued_bytes=queue_bytes,
        memory_bytes=memory,
        session_days=SESSION_DAYS,
    )
