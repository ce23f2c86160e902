"""A fleet: the devices, keys and broker that belong together, and what makes and keeps them.

init.py                     `limpet init`: the fleet's folder
    adopting.py             what it takes over from 0.1
devices.py                  `limpet fleet`: list, show
    seen.py                 what brokers know of devices
locking_out.py              its verbs revoke, renew and remove; retiring.py: decommission
    retained.py             what a broker keeps of a device, cleared
consumers.py                `limpet operator`: identities for programs of one's own
load/                       `limpet fleet run`: many nodes at once
reload.py                   what brokers have to be told after a change
report.py                   what a verb did, as JSON
provision.py                `limpet provision`
    provision_many.py       of many devices; device_list.py which those are
    provision_report.py     what it says of what it did
    provision_mosquitto.py  mosquitto's files at its end

It may import operating, brokers, identity and what is below them; of the rest only doctor, page,
export and the command line may import it.
"""
