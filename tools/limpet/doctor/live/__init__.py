"""What a running broker tells of itself, and what comes of it.

parsed.py       how each kind says its figures: `$SYS`, RabbitMQ's page, NATS's pages
monitor.py      those pages, asked by HTTP
listening.py    what comes by MQTT; strangers.py: who of it is in no registry
log_lines.py    a broker's log, and who was refused by it
alarms.py       when something is told, and when it is over
"""
