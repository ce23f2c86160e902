"""What Home Assistant is told: which devices there are, and how each of their entities is read.

homeassistant.py    `limpet homeassistant`: the command line
    announcing.py   the work: hears the fleet, and says what is due, at the pace of the broker
    entries.py      what is known of a device, and whether Home Assistant has been told; pure
    entry.py        the entry of one device for Home Assistant's discovery; pure
    parts.py        the entities in it, as JSON, with their templates; pure
    guide.py        what a person enters in Home Assistant

It may import heard, by which the fleet is heard, and all below it.
"""
