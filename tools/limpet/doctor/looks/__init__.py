"""Single looks, of which `limpet doctor` puts its facts together; nothing is judged here.

folder.py   what the fleet's folder says
doors.py    the broker's ports, for who has nothing to show
visits.py   what a stranger, a device, an operator may
visitor.py  one connection in somebody's name
log.py      what mosquitto's log says of its clients
process.py  the broker's process, where it runs on this machine
"""
