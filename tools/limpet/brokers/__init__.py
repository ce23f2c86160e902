"""Brokers: who may say and hear what, and what each kind of broker makes of that.

rules.py     the one list of rights; pure
mosquitto/   renderer.py turns it into mosquitto's configuration; pure. files.py writes that
embedded/    the broker of `limpet run`, the tests and `limpet broker`: amqtt behind TLS
setup.py     opens a set-up so that every broker's files follow its registry
broker.py    `limpet broker`

Another broker is a folder beside mosquitto/ with a renderer of its own, and a line in setup.py.
"""
