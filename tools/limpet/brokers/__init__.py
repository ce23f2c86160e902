"""Brokers: who may say and hear what, and what each kind of broker makes of that.

rules.py                   the one list of rights; pure
capacity.py                how large a broker has to be for so many devices; pure
plan.py                    what one broker is to be: all that a renderer is given; pure
mosquitto/                 mosquitto, for who wants a broker to stay
    mosquitto/renderer.py  its configuration by the rules, as text; pure
    mosquitto/files.py     that in a set-up, kept up to date; mosquitto/program.py finds it
embedded/                  the broker of `limpet run`, the tests and `limpet broker`: amqtt
age.py                     which of these files are older than the rules, and what to do about it
setup.py                   opens a set-up so that every broker's files follow its registry
broker.py                  `limpet broker`

Another broker is a folder beside mosquitto/ with a module `renderer`, whose render(plan) returns
the text of each file by its name.
"""
