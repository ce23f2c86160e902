"""What of Limpet runs as a service of the system.

service.py      `limpet service install`
    units.py    a systemd unit as text, with its hardening; pure

A broker's unit comes with its other files: `limpet broker-config`. It may import operating and all
below it.
"""
