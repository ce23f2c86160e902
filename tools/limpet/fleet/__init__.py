"""A fleet: the devices, keys and broker that belong together, and what makes and keeps them.

`limpet provision` is here. It may use identity and brokers; operating, boards and the rest do not
use it.
"""
