"""Who is who: the CA, the operators, the registry of devices, and what a device has for itself.

layout.py           where a set-up's files lie; registry.py what the registry among them says
authority.py        the CA, keys and certificates; revocation.py which of them count no more;
                    https.py one for the page
fleet_folder.py     which fleet is meant; fleet_settings.py what its limpet.toml says
provisioning.py     makes or changes a set-up, a device, its config
device_config.py    a config as the PC reads and writes it, by the node's own rules
device_folder.py    what a device has for itself, checked; provision_line.py the same as one line
batch.py            many devices at once
consumers.py        programs of one's own
operators.py        who the tools are to a broker; passwords.py the broker's file of passwords
"""
