"""Names of the topics: `{org}/{site}/{zone}/{device-type}/{device-id}/{data-type}`, and beside the
devices `{org}/time`.

Lower case and hyphens, no leading slash, no wildcard, at most 7 slashes (some brokers allow no
more): topic_rules.py has the rules. A node has no wildcard subscription, so there is no matching of
filters.
"""

TELEMETRY = "telemetry"
BACKLOG = "telemetry/backlog"
STATUS = "status"
HEALTH = "health"
ALERTS = "alerts"
COMMANDS = "commands"
RESPONSE = "commands/response"
TIME = "time"


def base(org, site, zone, device_type, device_id):
    """Topic (str) below which a device has all its own. The parts are those of a checked config."""
    return "/".join((org, site, zone, device_type, device_id))
