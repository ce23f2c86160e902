"""Brokers: who may say and hear what, and what each kind of broker makes of that.

rules.py                   the one list of rights; pure
capacity.py                how large a broker has to be for so many devices; pure
plan.py                    what one broker is to be: all that a renderer is given; pure
mosquitto/                 mosquitto, for who wants a broker to stay
    mosquitto/renderer.py  its configuration by a plan, as text; pure
    mosquitto/files.py     asks that, in a set-up, what it lacks
    mosquitto/process.py   mosquitto, started by us; mosquitto/program.py finds it,
                           mosquitto/with_parent.py has it end with us
rabbitmq/                  RabbitMQ: rabbitmq/renderer.py writes its files; rabbitmq/program.py
                           unpacks it, for the tests
nats/                      NATS with JetStream: nats/renderer.py; nats/program.py finds it
haproxy/                   HAProxy before a cluster: haproxy/renderer.py, haproxy/program.py
emqx/                      EMQX's files as text: emqx/renderer.py; not run here
aws/                       AWS's policies as text: aws/renderer.py; not run here
embedded/                  the broker of `limpet run`, the tests and loopback: amqtt
kinds.py                   the brokers that files can be written for, by name
written.py                 these files: written, and kept up to date with the registry
age.py                     which of them are older than that or the rules, and what to do about it
setup.py                   opens a set-up so that every broker's files follow its registry
broker_config.py           `limpet broker-config`
broker.py                  `limpet broker`; on_network.py is what it is beyond loopback

Another broker is a folder beside mosquitto/ with a module `renderer`, whose render(plan) returns
the text of each file by its name, and a line in kinds.py.
"""
