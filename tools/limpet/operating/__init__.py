"""What an operator does with nodes, through a broker.

node.py             `limpet node`: one node, without the rest
watch.py            `limpet watch`
send.py             `limpet send`
where.py            which fleet and which broker a tool works with
operator_client.py  the connection to that broker; inbox.py what has come over it
opening.py          an address in the user's browser
setup.py            `limpet setup`: all that a later start needs
"""
