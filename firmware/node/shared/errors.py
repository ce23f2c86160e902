"""What can go wrong in the node, by name. Each class is caught in exactly one place.

Not here: what the network does. The client reports that as a cause, `on_down(cause)`, and raises
nothing. Nor what sensors do: lib/sensing.py.
"""


class CommandError(Exception):
    """A Command that cannot be carried out. Caught in the router, which answers with `code` and
    `text`.
    """

    def __init__(self, code, text):
        super().__init__(code)
        self.code = code
        self.text = text


class ConfigError(Exception):
    """A config that is refused: `field` is the key at fault, `text` the rule it breaks. Caught in
    app.py, and in provisioning.py while there is none yet.
    """

    def __init__(self, field, text):
        super().__init__(field)
        self.field = field
        self.text = text
