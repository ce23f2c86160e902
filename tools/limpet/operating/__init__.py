"""What an operator does with nodes, through a broker.

run.py              `limpet run`: broker, node and subscriber in one terminal
    live.py         news in, Events out; scene.py what they mean; view.py how that looks
node.py             `limpet node`: one node, without the rest
watch.py            `limpet watch`
send.py             `limpet send`
where.py            which fleet and which broker a tool works with
operator_client.py  the connection to that broker; inbox.py what has come over it
setup.py            `limpet setup`: all that a later start needs
"""
