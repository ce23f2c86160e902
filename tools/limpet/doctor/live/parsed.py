"""What each kind of broker says of itself, read into figures.Numbers. Pure.

mosquitto: below `$SYS` (mosquitto(8), BROKER STATUS). RabbitMQ: its plugin rabbitmq_prometheus,
/metrics. NATS: its monitor, /varz, /jsz and /connz. What is no number counts as not said.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from limpet.doctor.figures import HOUR_S, LEARNT_S, Numbers, Refusal
from limpet.shared.plain import is_number, safe

ROOT = "$SYS/broker/"
CONNECTED = ROOT + "clients/connected"
MEMORY = ROOT + "heap/current"
RETAINED = ROOT + "retained messages/count"
STORED = ROOT + "store/messages/count"
DROPPED = ROOT + "publish/messages/dropped"
SENT = ROOT + "publish/messages/sent"
RECEIVED = ROOT + "publish/messages/received"
UPTIME = ROOT + "uptime"
RATE = ROOT + "load/publish/received/1min"
USUAL = ROOT + "load/publish/received/15min"
WANTED = (CONNECTED, MEMORY, RETAINED, STORED, DROPPED, SENT, RECEIVED, UPTIME, RATE, USUAL)
_USUAL_S = 15 * 60

# A login by a certificate that is none of ours does not come as far as RabbitMQ's counter: its log
# has it.
_SAMPLE = re.compile(r"^(rabbitmq_[a-z0-9_]{1,80})(?:\{[^}]{0,500}\})? ([0-9.e+]{1,30})$", re.M)
_WAITING = ("$MQTT_msgs", "$MQTT_out", "$MQTT_qos2in")
_RETAINED = "$MQTT_rmsgs"
_REFUSED = (
    "Authentication Failure",
    "Authentication Timeout",
    "Authentication Expired",
    "TLS Handshake Failure",
)


def of_sys(said: Mapping[str, bytes]) -> Numbers:
    """Return what mosquitto says. said: payload by topic."""
    # No float(): that reads "nan", "infinity" and digits of other scripts as well.
    found = {
        topic: float(payload)
        for topic in WANTED
        if (payload := said.get(topic, b"").removesuffix(b" seconds"))
        and re.fullmatch(rb"[0-9]{1,18}(\.[0-9]{1,9})?", payload)
    }
    stored, retained = found.get(STORED), found.get(RETAINED)
    # What the store holds is retained, or waits for a client that is slow or away.
    waiting = None if stored is None else max(stored - (retained or 0), 0)
    rate, usual, uptime = found.get(RATE), found.get(USUAL), found.get(UPTIME)
    if usual is not None and (uptime is None or uptime < LEARNT_S):
        usual = None  # it begins at nothing, and every rate is twice that
    return Numbers(
        connections=found.get(CONNECTED),
        memory=found.get(MEMORY),
        retained=retained,
        own_retained=True,
        waiting=waiting,
        dropped=found.get(DROPPED),
        sent=found.get(SENT),
        received=found.get(RECEIVED),
        uptime_s=uptime,
        rate=None if rate is None else rate / 60,
        usual=None if usual is None else usual / 60,
        usual_s=_USUAL_S,
    )


def of_rabbitmq(text: str) -> Numbers:
    """Return what a RabbitMQ says at /metrics: of that member, all kinds of queues together. It
    does not say how many Messages are retained.
    """
    sums: dict[str, float] = {}
    for name, value in _SAMPLE.findall(text):
        try:
            sums[name] = sums.get(name, 0.0) + float(value)
        except ValueError:
            continue
    total = sums.get("rabbitmq_auth_attempts_failed_total")
    uptime = sums.get("rabbitmq_erlang_uptime_seconds")
    return Numbers(
        connections=sums.get("rabbitmq_connections"),
        memory=sums.get("rabbitmq_process_resident_memory_bytes"),
        memory_limit=sums.get("rabbitmq_resident_memory_limit_bytes"),
        waiting=sums.get("rabbitmq_queue_messages"),
        dropped=sums.get("rabbitmq_global_messages_dead_lettered_maxlen_total"),
        sent=sums.get("rabbitmq_global_messages_delivered_total"),
        received=sums.get("rabbitmq_global_messages_received_total"),
        uptime_s=uptime,
        refused=total,
        refused_hour=_hourly(total, uptime),
    )


def is_rabbitmq(text: str) -> bool:
    """Whether that is what a RabbitMQ says."""
    return "\nrabbitmq_identity_info{" in text


def of_nats(varz: Any, jsz: Any, connz: Any) -> Numbers:
    """Return what a NATS says: /varz, /jsz with its streams, /connz of who is gone. It does not say
    what it dropped.
    """
    waiting = retained = None
    for stream in _streams(jsz):
        count = _number(_dict(stream.get("state")).get("messages"))
        if count is None:
            continue
        if stream.get("name") in _WAITING:
            waiting = (waiting or 0) + count
        elif stream.get("name") == _RETAINED:
            retained = (retained or 0) + count
    varz = _dict(varz)
    now = _time(varz.get("now"))
    began = _time(varz.get("start"))
    closed = [_dict(each) for each in _list(_dict(connz).get("connections"))]
    refused = [each for each in closed if each.get("reason") in _REFUSED]
    latest = [each for each in refused if _since(now, _time(each.get("stop"))) <= HOUR_S]
    return Numbers(
        connections=_number(varz.get("connections")),
        connections_limit=_number(varz.get("max_connections")),
        memory=_number(varz.get("mem")),
        retained=retained,
        waiting=waiting,
        received=_number(varz.get("in_client_msgs", varz.get("in_msgs"))),
        uptime_s=_since(now, began) if now and began else None,
        refused_hour=len(latest) if isinstance(connz, dict) else None,
        refusals=tuple(_refusals(refused)),
    )


def is_nats(varz: Any) -> bool:
    """Whether that is what a NATS says at /varz."""
    return isinstance(varz, dict) and "server_id" in varz and "max_connections" in varz


def _refusals(refused: Iterable[Mapping[str, Any]]) -> Iterable[Refusal]:
    for each in refused:
        who = each.get("mqtt_client") or each.get("ip") or ""
        yield Refusal(safe(str(who))[:80], str(each["reason"]), int(_number(each.get("cid")) or 0))


def _streams(jsz: Any) -> Iterable[dict[str, Any]]:
    for account in _list(_dict(jsz).get("account_details")):
        for stream in _list(_dict(account).get("stream_detail")):
            yield _dict(stream)


def _hourly(count: float | None, uptime_s: float | None) -> float | None:
    """Return how many an hour that is, of at least one hour."""
    if count is None or uptime_s is None:
        return None
    return count * HOUR_S / max(uptime_s, HOUR_S)


def _number(value: Any) -> float | None:
    return value if is_number(value) and value >= 0 else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _time(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _since(now: datetime | None, then: datetime | None) -> float:
    """Return the seconds between; more than anything where one is not known."""
    if now is None or then is None or (now.tzinfo is None) != (then.tzinfo is None):
        return float("inf")
    return (now - then) / timedelta(seconds=1)
