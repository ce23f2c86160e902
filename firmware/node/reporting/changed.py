"""An alert that is raised or cleared: said, kept, and put into the next birth. Loaded for that, and
let go of.
"""

from node.shared import topics
from node.shared.message import encode


def say(alerts, alert, raised, more):
    """`alert` has changed; `more`: what else its Message says, pairs. See alerts.py."""
    names = alerts.status.raised
    state = "raised" if raised else "cleared"
    said = encode(("v", 1), ("ts", alerts.unix()), ("alert", alert), ("state", state), *more)
    alerts.messages.put(alerts.base + "/" + topics.ALERTS, said)
    # Not before: what there was no heap to say is said the next time.
    if raised:
        names.append(alert)
    else:
        names.remove(alert)
    try:
        alerts.store.save([(name, b"") for name in names])
    except (OSError, MemoryError):
        pass  # the birth says them all the same; the next change tries again
    alerts.status.again()
