"""`limpet exporter`: what the fleet and its broker say, for Prometheus to scrape.

exporter.py         the command
    broker.py       what the broker says of itself, and what it is held to
    metrics.py      all of that as Prometheus's metrics, each with its name and help
    serving.py      a small HTTP server that a slow client cannot hold up

What the nodes say, and the connection to the broker, is in heard/. It may import everything but the
command line, and nothing imports it.
"""
