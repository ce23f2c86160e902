"""What other systems read: files out of the store. There is room for what Home Assistant
wants to know of each device; Prometheus's figures are in exporter/.

export.py           `limpet export`: CSV and Parquet
    whole_file.py   a file that has its name only when it is whole

It may import ingest, operating, and all below them.
"""
