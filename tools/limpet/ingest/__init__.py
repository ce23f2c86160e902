"""Room for `limpet ingest`: a service that takes what nodes publish into a store, without a gap and
without a duplicate, and acknowledges only what is stored.

It may import operating and all below it; page and export read its store. Nothing is here yet.
"""
