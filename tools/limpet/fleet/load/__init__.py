"""`limpet fleet run`: what a broker bears, and whether a Reading is lost under load.

run.py                  the command
    set_up.py           whose devices are played; identity.py what a node needs of one
    own_broker.py       the mosquitto of its own
play.py                 a run: ramp, what happens in it, the end
    real_node.py        a node that is one, as a process
    light_node.py       a node as the broker sees it; payload.py what it says
    consumer.py         who counts what comes through; own_loop.py where it runs
        connection.py   an MQTT connection of either
    figures.py          what is counted; machine.py what it is counted on
view.py                 how it is, while it runs
report.py               how it was; chart.py its pictures
"""
