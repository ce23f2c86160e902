"""A fleet: the devices, keys and broker that belong together, and what makes and keeps them.

`limpet provision` is here. It may import operating, brokers, identity and what is below them; of
the rest only doctor, page and the command line may import it.
"""
