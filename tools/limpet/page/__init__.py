"""Room for `limpet page`: a web page on loopback that shows the nodes live and takes Commands.

It may import ingest, whose store holds the history, operating, and all below them. Nothing is here
yet.
"""
