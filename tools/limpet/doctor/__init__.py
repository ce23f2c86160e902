"""Room for `limpet doctor`: a look at fleet, broker, certificates and live traffic that says what
is wrong, worst first, each with its remedy.

It may import everything but the command line, and nothing imports it. Nothing is here yet.
"""
