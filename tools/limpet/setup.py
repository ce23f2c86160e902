"""`limpet setup`: gets all that a later start needs, for a time without a network."""

from limpet.brokers.mosquitto import mosquitto as mosquitto_command
from limpet.micropython import debian
from limpet.micropython.interpreter import micropython
from limpet.micropython.umqtt import umqtt_dir


def setup(*, mosquitto: bool = False) -> None:
    """Get the interpreters and umqtt; what is there already is kept.

    Parameters
    ----------
    mosquitto
        Get mosquitto too, for tests with BROKER=mosquitto.
    """
    micropython()
    # For measuring. Where it cannot be had, nobody is told before they ask for it.
    if debian.available("i386"):
        micropython("i386")
    umqtt_dir()
    if mosquitto:
        mosquitto_command()
