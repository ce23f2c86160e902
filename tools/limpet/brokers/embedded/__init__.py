"""The embedded broker: amqtt behind TLS, where every client has a certificate and its name.

broker.py                starts and stops it, in a thread; time_signal.py says the time meanwhile
certified_broker.py      amqtt with its holes closed
    connection.py        one connection of it; listener.py a socket that knows its connections
    admission.py         who a client is, and whether it may come in
"""
