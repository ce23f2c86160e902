"""A fleet: the devices, keys and broker that belong together, and what makes and keeps them.

provision.py                `limpet provision`
    provision_report.py     what it says of what it did
    provision_mosquitto.py  mosquitto's files at its end

It may import operating, brokers, identity and what is below them; of the rest only doctor, page,
export and the command line may import it.
"""
