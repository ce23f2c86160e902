"""Readings as files: for `limpet export` and the page's download.

rows.py     as CSV
parquet.py  as Parquet, out of that
"""
