"""What looks at a fleet's broker from outside, and says how it is and what it needs.

doctor.py           `limpet doctor`: what is wrong, worst first, each with its remedy
    checks/         what may be wrong, each a pure function, and the list of them
    finding.py      what a check says
    facts.py        what was seen: the values that checks are made of
    gathering.py    the seeing, step by step
        looks/      the single looks of that
    report.py       what is printed
    clearing.py     what is retained, shown and cleared
health.py           `limpet health`: connect, subscribe, publish, round trip
    probe.py        one look at a broker, which ends in time whatever the broker does
    figures.py      what a broker says of itself, held against its limits
capacity.py         `limpet capacity`: what a fleet needs, and how full its broker is
    sizing.py       the arithmetic of it
follow.py           `limpet doctor --follow`: what is wrong, as it happens
live/               what a running broker tells: figures by `$SYS` and HTTP, its log, who speaks

It may import all below it; exporter reads a broker's figures by it.
"""
