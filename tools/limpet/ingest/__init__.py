"""`limpet ingest`: a service that takes what nodes publish into a store, without a gap and without
a duplicate, and acknowledges only what is stored.

ingest.py             the command
    job.py            what one worker has to do, and its doing in this process
    workers.py        `--workers`: several processes, which are watched
        child.py      one of them
    worker.py         Messages in, a batch into the store, the batch acknowledged
    consumer.py       the connection: a kept session whose Messages wait for `acknowledge`
        asked.py      which broker, as whom, which topics
        buffered.py   its socket, which reads and writes in pieces worth a system call
        packets.py    PUBLISHes, cut out of what comes; pure
    options.py        which fleet, and who we are to its broker; of `limpet exporter` too
    counts.py         what was counted, and what is said of it
    report.py         `--report`: what the store holds and lacks
intake.py             payloads into what the store takes; pure
spans.py              which seqs of a boot are there, and which are missing; pure
places.py             which store is meant, and its opening
store.py              what all stores have in common
    sqlite_store.py   SQLite
    postgres_store.py PostgreSQL and TimescaleDB
    postgres_tables.py  their tables
reader.py             what page and export ask: fields, values, gaps, events
    source.py         a database that it asks: SQLite
    postgres_reader.py the same of PostgreSQL
files/                Readings as CSV and as Parquet

It may import operating and all below it; page and export read its store, and exporter
hears by its consumer.
"""
