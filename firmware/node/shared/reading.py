"""A Reading: what a node's sensors said at one moment. How it is packed and put as text, see
node/readings/telemetry.py.

Values are whole numbers throughout, in units of 10**-decimals of their field: on the chip a float
costs heap, and 24.4 has no exact one.
"""

from collections import namedtuple

# Seconds between Readings, least and most. A slow sensor may need more than the least: sampler.py.
INTERVAL_S = (2, 86400)

# boot    boot counter, 1 or more; (boot, seq) names the Reading for ever
# seq     counts the Readings of this boot from 0
# ts      Unix seconds when it was taken, or None if the clock was not set
# up      seconds since boot when it was taken
# values  a whole number for each field of the node, in their order; None where there was none
Reading = namedtuple("Reading", "boot seq ts up values")

UNKNOWN = b"null"  # as JSON has a time that nobody knows, and a value that there is none of
