"""identify: show which of the boards on the wall this one is."""

PARAMS = {"seconds": (1, 60, 5)}


def identify(params, node):
    """Starts to blink the LED, and does not wait for the end. Result: seconds."""
    node.identify(params["seconds"])
    return {"seconds": params["seconds"]}
