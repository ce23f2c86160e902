"""`limpet page`: the fleet live in a browser, with its history, and Commands as buttons.

page.py             the command
    asked.py        where it is to be, and what it takes to come in; door.py makes that
    assembly.py     model, broker and server together, as `limpet run` has them too
    listening.py    the connection: Messages into the model, Commands out
    commanding.py   which Commands there are, and their Responses
    history.py      values of a while ago
    model/          what the page knows; pure
    serving/        HTTP and WebSocket, and who may
    static/         what the browser is given: no build step, nothing from elsewhere

Between server and browser everything is JSON; times are Unix seconds; a device is known by its id.
Names and texts of devices are anybody's: here they are cut, and the browser shows them as text and
never as markup. It may import heard, ingest, operating, and all below them.
"""
