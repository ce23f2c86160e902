"""Room for what other systems read: files out of the store, Prometheus's figures, and what Home
Assistant wants to know of each device.

It may import ingest, operating, and all below them. Nothing is here yet.
"""
