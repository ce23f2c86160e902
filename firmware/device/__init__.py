"""The hardware side of the node: the only firmware that imports machine, network or time."""
