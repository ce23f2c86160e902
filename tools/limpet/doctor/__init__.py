"""What looks at a fleet's broker from outside, and says how it is and what it needs.

health.py           `limpet health`: connect, subscribe, publish, round trip
    probe.py        one look at a broker, which ends in time whatever the broker does
    figures.py      what a broker says of itself below `$SYS`, held against its limits
capacity.py         `limpet capacity`: what a fleet needs, and how full its broker is
    sizing.py       the arithmetic of it

There is room for `limpet doctor`, which says what is wrong, worst first, each with its remedy. It
may import everything but the command line, and nothing imports it.
"""
