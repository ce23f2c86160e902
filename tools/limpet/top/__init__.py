"""`limpet top`: the fleet as a table in the terminal, the worst first.

top.py          the command: once, or live until it is ended
    screen.py   the live table: drawn, resized, put away
    keys.py     what is pressed
    view.py     what of the fleet is shown, and from where on; pure
    table.py    columns that fit a width, and their cells; pure
    rows.py     a device as a row, and as JSON; pure

What the devices say, and the connection to the broker, is in heard/.
"""
