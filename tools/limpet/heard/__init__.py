"""A fleet as it is heard now, for what shows it: exporter, page, `limpet top`, Home Assistant.

fleet.py        what each device has last said, and so how it is; bounded; pure
trouble.py      which device is to be looked at first; pure
lateness.py     which Readings came late; pure
listening.py    the connection: Messages in, until it is ended
who.py          who we are to the broker, where a person looks on
known.py        who is in the registry, and until when their certificates are good

It may import ingest, by whose consumer it is heard, and all below it.
"""
